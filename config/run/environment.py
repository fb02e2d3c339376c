"""What a process of Aval finds in its environment before Django is loaded: what is given stays, the rest is filled in.

Whoever gives DATABASE_URL and REDIS_URL gets nothing embedded, not even the import.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from config.run.data_folder import secret_key

BASE_DIR = Path(__file__).resolve().parents[2]


class Refusal(Exception):
    """Why Aval does not run, in one sentence for the terminal."""


def read_dotenv() -> None:
    """Take over `.env` as the settings will: a URL that stands there counts as given."""
    if (BASE_DIR / ".env").is_file():
        import environ

        environ.Env.read_env(BASE_DIR / ".env")


def number(name: str, default: int, low: int, high: int) -> int:
    raw = os.environ.get(name) or str(default)
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise Refusal(f"{name} must be a whole number from {low} to {high}, not {raw!r}.")
    return int(raw)


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or BASE_DIR / "var").absolute()


def port() -> int:
    return number("PORT", 8000, 1, 65535)


def public_url() -> str:
    return os.environ.get("PUBLIC_URL") or f"http://localhost:{port()}"


def set_default(name: str, value: str) -> None:
    if not os.environ.get(name):
        os.environ[name] = value


def fill_in() -> None:
    """The defaults of an installation on one machine, as `make run` makes it."""
    os.environ["DATA_DIR"] = str(data_dir())
    set_default("SANDBOX", "true")
    set_default("PUBLIC_URL", public_url())
    if is_missing("SECRET_KEY"):
        os.environ["SECRET_KEY"] = secret_key(data_dir())


def is_missing(name: str) -> bool:
    return not os.environ.get(name)


def migrate_url() -> str:
    """The database as the owner of the tables; where no other role is given, as the one that Aval runs as."""
    return os.environ.get("MIGRATE_DATABASE_URL") or os.environ.get("DATABASE_URL") or ""


@contextmanager
def placeholders_where_missing() -> Iterator[None]:
    """For commands that only read code: settings that load, and nothing started, connected to or written."""
    set_default("DATABASE_URL", f"postgres://aval@/aval?host={quote(str(data_dir() / 'run'), safe='')}")
    set_default("REDIS_URL", f"unix://{quote(str(data_dir() / 'run'))}/redis.sock")
    set_default("SECRET_KEY", secrets.token_urlsafe(48))
    set_default("SANDBOX", "true")
    yield
