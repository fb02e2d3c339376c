"""Reader of the environment, for the settings and for what runs before Django is loaded: one meaning for each variable.

`.env.example` explains them for the operator.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class StartError(Exception):
    """Aval cannot start. The text is one sentence for the terminal."""


class InvalidVariable(StartError, ImproperlyConfigured):
    """A variable of the environment is missing, or has a value that it cannot have."""


def read_dotenv() -> None:
    """Add the variables of `.env` that are not set: a value in it counts as given."""
    if (BASE_DIR / ".env").is_file():
        import environ

        environ.Env.read_env(BASE_DIR / ".env")


def is_missing(name: str) -> bool:
    return not os.environ.get(name)


def required(name: str) -> str:
    if is_missing(name):
        raise InvalidVariable(f"{name} is not set. `make run` makes one; elsewhere it must be given.")
    return os.environ[name]


def number(name: str, default: int, *, low: int = 1, high: int = 10_000_000) -> int:
    raw = (os.environ.get(name) or str(default)).strip()
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise InvalidVariable(f"{name} must be a whole number from {low} to {high}, not {raw!r}.")
    return int(raw)


def boolean(name: str, default: bool) -> bool:
    raw = os.environ.get(name, "").strip().lower()
    if raw in ("", "true", "1", "yes", "on", "false", "0", "no", "off"):
        return default if not raw else raw in ("true", "1", "yes", "on")
    raise InvalidVariable(f"{name} must be true or false, not {raw!r}.")


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    raw = os.environ.get(name, default)
    if raw not in allowed:
        raise InvalidVariable(f"{name} must be one of {', '.join(allowed)}, not {raw!r}.")
    return raw


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or BASE_DIR / "var").absolute()


def health_folder() -> Path:
    """Folder of the heartbeats (clients.heartbeat), one file for each process on this machine."""
    return data_dir() / "health"


def port() -> int:
    return number("PORT", 8000, high=65535)


def public_url() -> str:
    return os.environ.get("PUBLIC_URL") or f"http://localhost:{port()}"


def web_threads() -> int:
    """Requests in work at once in a web process. Four were measured best (docs/adr/0041)."""
    return number("WEB_THREADS", 4, high=64)
