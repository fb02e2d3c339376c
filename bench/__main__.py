"""`make bench`: the machine, then a table for each benchmark.

python -m bench [NAME...] [--rounds N] [--seconds S] [--history ROWS]
"""

import argparse
from pathlib import Path

from bench import machine, verify_cycle
from config.environment import BASE_DIR

BENCHMARKS = {"verify_cycle": verify_cycle.run}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Each number stands beside its floor.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds of each system, taken in turn")
    parser.add_argument("--seconds", type=float, default=5, help="length of a round")
    parser.add_argument("--history", type=int, default=1_000_000, help="old rows of the second half")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print(machine.line())
    for name in options.names or BENCHMARKS:
        BENCHMARKS[name](Path(BASE_DIR / "var" / "bench"), options)


if __name__ == "__main__":
    main()
