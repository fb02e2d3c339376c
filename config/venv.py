"""Create `.venv` and install missing packages; for `make`, with any Python 3 and no packages.

    python3 -I config/venv.py requirements.txt [requirements-dev.txt]

Quick when there is nothing to do. An interrupted installation leaves a marker file, and the next run starts again:
pip takes a half-written package for a complete one. The syntax suits old versions of Python 3, which must still print
that they are too old.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(BASE_DIR, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
UNFINISHED = os.path.join(VENV, "unfinished")


def refuse(sentence: str) -> None:
    sys.stderr.write("aval: " + sentence + "\n")
    sys.exit(1)


def say(sentence: str) -> None:
    sys.stdout.write("aval: " + sentence + "\n")
    sys.stdout.flush()


def check_python() -> None:
    if sys.version_info < OLDEST:
        running = sys.version.split()[0]
        refuse(f"Python 3.11 or newer is needed and this is {running}: name one with `make PYTHON=python3.12 ...`.")
    if os.name != "posix":
        refuse("Linux or macOS is needed to run from source: on Windows use WSL or compose.yaml.")


def works() -> bool:
    """Whether `.venv` is complete and its Python starts: a system upgrade may have removed that."""
    if os.path.exists(UNFINISHED) or not os.path.exists(os.path.join(VENV, "pyvenv.cfg")):
        return False
    try:
        return subprocess.call([PYTHON, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]) == 0
    except OSError:
        return False


def environment() -> dict:
    """Environment without variables that make pip install elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in ("PIP_USER", "PIP_TARGET", "PYTHONHOME")}


def make() -> None:
    say("making .venv.")
    done = subprocess.run(
        [sys.executable, "-I", "-m", "venv", "--clear", VENV],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        check=False,
    )
    if done.returncode and "ensurepip" in done.stdout:
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        refuse(f"This Python has no pip to put into .venv: install it first (Debian, Ubuntu: apt install {package}).")
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["it does not say why"])[-1]
        refuse(f"The virtual environment .venv cannot be made: {last}")


def installed(requirements: str) -> str:
    """Path of a copy of the file, made once its packages are installed."""
    return os.path.join(VENV, "installed-" + requirements)


def same(one: str, other: str) -> bool:
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False


def install(files: list) -> None:
    say(f"installing {' and '.join(files)}; the first time this takes a minute.")
    open(UNFINISHED, "w").close()
    words = [word for name in files for word in ("-r", os.path.join(BASE_DIR, name))]
    quiet = ["-qq", "--disable-pip-version-check", "--no-input"]
    if subprocess.call([PYTHON, "-I", "-m", "pip", "install", *quiet, *words], env=environment()):
        if any(name.startswith("installed-") for name in os.listdir(VENV)):
            os.unlink(
                UNFINISHED
            )  # pip restored what it had changed: an earlier installation still works, for example offline
        refuse("The packages could not be installed; pip says above why.")
    for name in files:
        shutil.copyfile(os.path.join(BASE_DIR, name), installed(name))
    os.unlink(UNFINISHED)


def main(files: list) -> None:
    check_python()
    import fcntl

    with open(os.path.join(BASE_DIR, "Makefile"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: one installs, the other waits
        if not works():
            make()
        if not all(same(os.path.join(BASE_DIR, name), installed(name)) for name in files):
            install(files)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
