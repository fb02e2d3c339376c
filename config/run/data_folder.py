"""Data folder: its owner, its sockets, and the secrets stored in it."""

import os
import pwd
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.run.processes import FileLock

SOCKET_PATH_LIMIT = 80
"""Bytes of a socket folder's path: sun_path ends at 108 on Linux, 104 on macOS, the socket's name included."""

LOCK_SECONDS = 60.0

NOBODY_UID = 65534
"""User `nobody`, as whom PostgreSQL runs for root without user namespaces (`config.embedded.servers`)."""


class EmbeddedError(Exception):
    """The data folder or the embedded servers cannot be used. The text is one sentence for the terminal."""


class FolderGone(EmbeddedError):
    """The data folder was deleted while its servers ran."""


@contextmanager
def as_embedded_error(data_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError into an EmbeddedError."""
    try:
        yield
    except OSError as fault:
        where = fault.filename or data_dir
        raise EmbeddedError(f"The data folder cannot be used: {where}: {fault.strerror or fault}.") from fault


def secret_key(data_dir: str | os.PathLike[str]) -> str:
    """SECRET_KEY of this installation, generated on first use. Raises EmbeddedError."""
    with as_embedded_error(data_dir):
        data = own_folder(Path(data_dir))
        secret = stored_secret(data, "secret_key")
    if len(secret) < 32:
        raise EmbeddedError(
            f"{data / 'secret_key'} is damaged: restore it, or delete it and give every partner new credentials."
        )
    return secret


def stored_secret(data: Path, name: str) -> str:
    """Secret of this name in the data folder, generated on first use. Concurrent first uses get the same one."""
    path = data / name
    if not path.exists():
        draft = data / f"{name}.{secrets.token_hex(4)}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def own_folder(data: Path) -> Path:
    """The data folder, made if missing. Raises EmbeddedError if it is another user's, whose files we cannot write."""
    data = data.absolute().resolve()
    if data.exists() and not data.is_dir():
        raise EmbeddedError(f"The data folder {data} is a file: move it away, or choose another with DATA_DIR.")
    data.mkdir(parents=True, exist_ok=True)
    for path in (data / "locks", data / "pg", data / "redis", data / "secret_key"):
        with suppress(FileNotFoundError):
            if not _is_ours(path.stat().st_uid):
                raise EmbeddedError(
                    f"The data folder {data} belongs to the user {_user(path.stat().st_uid)} and you are "
                    f"{_user(os.geteuid())}: run as that user, or choose another folder with DATA_DIR."
                )
    if not os.access(data, os.W_OK | os.X_OK):
        raise EmbeddedError(f"The data folder {data} cannot be written: choose another with DATA_DIR.")
    return data


def _is_ours(uid: int) -> bool:
    return uid == os.geteuid() or (uid == NOBODY_UID and os.geteuid() == 0)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def open_folder(data: Path) -> tuple[Path, Path]:
    """The data folder with its subfolders, and the folder of its sockets. Raises EmbeddedError."""
    data = own_folder(data)
    for name in ("locks", "logs"):
        (data / name).mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(data / "locks" / "folder")
    try:
        if not lock.wait_exclusive(LOCK_SECONDS):
            raise EmbeddedError(f"Another process holds {lock.path} and does not let go: end it and try again.")
        return data, _socket_folder(data)
    finally:
        lock.close()


def _socket_folder(data: Path) -> Path:
    """`run` in the data folder. If its path is too long for a socket or has characters that a URL cannot hold, `run` is
    a link to a private folder with a short name, which all processes follow whatever their TMPDIR."""
    run = data / "run"
    if _fits(run):
        run.mkdir(mode=0o700, exist_ok=True)
        run.chmod(0o700)
        return run
    if run.is_symlink():
        target = Path(os.readlink(run))
        with suppress(OSError):
            state = target.lstat()
            ours_alone = _is_ours(state.st_uid) and not state.st_mode & 0o077
            # A copy of the data folder has the same link, and must not share the original's sockets.
            if ours_alone and target.is_dir() and (target / "of").read_text() == str(data):
                return target
        run.unlink()
    target = Path(tempfile.mkdtemp(prefix="aval-"))
    if not _fits(target):
        target.rmdir()
        target = Path(tempfile.mkdtemp(prefix="aval-", dir="/tmp"))
    (target / "of").write_text(str(data))
    run.symlink_to(target)
    return target


def _fits(path: Path) -> bool:
    text = str(path)
    return len(text) <= SOCKET_PATH_LIMIT and re.fullmatch(r"[A-Za-z0-9_./-]+", text) is not None
