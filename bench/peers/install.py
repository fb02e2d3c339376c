"""Installation of the peers in a folder of their own, by npm and pip, from versions pinned in this package.

It is kept until one of the copied files changes, so that only the first run downloads anything.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SOURCES = Path(__file__).parent


class NotInstalled(Exception):
    """The peer cannot be installed here; says why."""


def better_auth(folder: Path) -> Path:
    """The folder with the server and `node_modules`."""
    return _installed("better_auth", folder, _npm_ci)


def phone_verify(folder: Path) -> Path:
    """The folder with settings, sender and `venv`."""
    return _installed("phone_verify", folder, _venv)


def _installed(name: str, folder: Path, install: Callable[[Path], None]) -> Path:
    made = folder / name
    files = sorted(path for path in (SOURCES / name).iterdir() if path.is_file())
    complete = made / "complete"
    if not complete.exists() or any(_differ(path, made / path.name) for path in files):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for path in files:
            shutil.copy(path, made)
        print(f"installing {name}")
        install(made)
        complete.touch()
    return made


def _differ(one: Path, other: Path) -> bool:
    return not other.is_file() or one.read_bytes() != other.read_bytes()


def _npm_ci(folder: Path) -> None:
    if not shutil.which("node") or not shutil.which("npm"):
        raise NotInstalled("Node.js and npm are needed")
    _run("npm", "ci", "--ignore-scripts", "--omit=peer", "--no-audit", "--no-fund", "--silent", folder=folder)


def _venv(folder: Path) -> None:
    _run(sys.executable, "-m", "venv", "venv", folder=folder)
    _run("venv/bin/python", "-m", "pip", "install", "-qq", "-r", "requirements.txt", folder=folder)


def _run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["it does not say why"])[-1]
        raise NotInstalled(f"{command[0]} fails: {last}")
