"""`make bench`: print the machine, then a table for each benchmark but `peers`, which downloads what it measures.

python -m bench [NAME...] [--small] [--rounds N] [--seconds S] [--history ROWS] [--folder PATH]
python -m bench peers --markdown     also prints the table of README.md
"""

import argparse
from pathlib import Path

from bench import alta, desk, export, feed, footprint, latency, machine, mailing, verify_cycle
from bench.peers import benchmark as peers
from bench.sizes import FULL, SMALL
from config.variables import BASE_DIR

BENCHMARKS = {
    "cycle": verify_cycle.run,
    "alta": alta.run,
    "export": export.run,
    "email": mailing.run,
    "latency": latency.run,
    "desk": desk.run,
    "feed": feed.run,
    "sizes": footprint.run,
    "peers": peers.run,
}
ONLY_BY_NAME = {"peers"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Each number stands beside its floor.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all but peers by default"
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds of each system, taken in turn")
    parser.add_argument("--seconds", type=float, default=5, help="length of a round of cycle and peers")
    parser.add_argument(
        "--history", type=int, default=1_000_000, help="old codes in the second installation of cycle, and in desk"
    )
    parser.add_argument("--markdown", action="store_true", help="peers: print the table of README.md, too")
    parser.add_argument("--small", action="store_true", help="small numbers and one round, only to check that it works")
    parser.add_argument(
        "--folder", type=Path, default=BASE_DIR / "var", help="its servers live in bench/ there, emptied first"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    options.sizes = FULL
    if options.small:
        options.sizes, options.rounds, options.seconds, options.history = SMALL, 1, 1, 1_000
    print(machine.line())
    for name in options.names or [name for name in BENCHMARKS if name not in ONLY_BY_NAME]:
        BENCHMARKS[name](options.folder.resolve() / "bench", options)


if __name__ == "__main__":
    main()
