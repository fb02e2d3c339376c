"""Compiler and programs of `sdk/typescript`. It needs Node.js and `npm ci --prefix sdk/typescript --ignore-scripts`."""

import os
import shutil
import subprocess
from pathlib import Path

from config.variables import BASE_DIR

PACKAGE = BASE_DIR / "sdk" / "typescript"
COMPILER = PACKAGE / "node_modules" / ".bin" / "tsc"
MISSING = "the TypeScript compiler is missing: install Node.js, then `npm ci --prefix sdk/typescript --ignore-scripts`"


def is_installed() -> bool:
    return shutil.which("node") is not None and COMPILER.exists()


def compile_all() -> None:
    """Compile the client and its tests anew, so that no older build is tried."""
    for folder in ("dist", "build"):
        shutil.rmtree(PACKAGE / folder, ignore_errors=True)
    run(COMPILER)
    run(COMPILER, "--project", "tsconfig.test.json")


def run(*words: str | Path, cwd: Path = PACKAGE, **environment: str) -> str:
    """Run a program to its end and return its output."""
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
