"""Commands of a stack: modules that run to their end, and management commands without the second that Django takes to
start.

Run as a program, this module loads Django once and forks for each management command that it reads.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from config.variables import BASE_DIR


def run_module(source: Path, environment: Mapping[str, str], *words: str) -> str:
    """Run a module to its end and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class ManagementCommands:
    """Management commands, each in a process of its own that is forked from one that has loaded Django."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._environment: dict[str, str] = {}

    def run(self, source: Path, environment: Mapping[str, str], words: Sequence[str], more: Mapping[str, str]) -> str:
        """Run a command and return its output. `more`: variables that are read while it runs, not by the settings."""
        if source != BASE_DIR:  # an older version, which may lack this module
            return run_module(source, {**environment, **more}, "manage", *words)
        with self._one_at_a_time:
            given, taken = self._pipes(environment)
            given.write(json.dumps({"words": words, "more": more}) + "\n")
            given.flush()
            answer = taken.readline()
            assert answer, "the process that forks for management commands has ended"
            code, out, err = json.loads(answer)
        assert code == 0, err
        return str(out)

    def _pipes(self, environment: Mapping[str, str]) -> tuple[IO[str], IO[str]]:
        """Standard input and output of the process, which is begun anew where the settings have changed."""
        if self._process is None or self._environment != environment:
            self.close()
            self._environment = dict(environment)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "testkit.commands"],
                cwd=BASE_DIR,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin
        assert self._process.stdout
        return self._process.stdin, self._process.stdout

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()  # it ends with its input
            self._process = None


def _serve() -> None:
    import django
    from django.urls import get_resolver

    django.setup()
    assert get_resolver().url_patterns  # every command's checks load them
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_forked(json.loads(line))) + "\n")
        sys.stdout.flush()


def _forked(given: dict[str, Any]) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _run(given)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
        return (os.waitstatus_to_exitcode(status), texts[0], texts[1])


def _run(given: dict[str, Any]) -> None:
    """Run the command and end this process."""
    import traceback

    from manage import main

    code: Any = 1
    try:
        os.environ.update(given["more"])
        sys.argv = ["manage.py", *given["words"]]
        main()
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001  this process must not go on in the loop of its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
