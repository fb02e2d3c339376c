"""Environment variables before Django is loaded: given values stay, missing ones get defaults.

With DATABASE_URL and REDIS_URL given, the embedded servers are not even imported.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from config.run.data_folder import secret_key

BASE_DIR = Path(__file__).resolve().parents[2]


class StartError(Exception):
    """Aval cannot start. The text is one sentence for the terminal."""


def read_dotenv() -> None:
    """Read `.env` as the settings do: a URL in it counts as given."""
    if (BASE_DIR / ".env").is_file():
        import environ

        environ.Env.read_env(BASE_DIR / ".env")


def number(name: str, default: int, low: int, high: int) -> int:
    raw = os.environ.get(name) or str(default)
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise StartError(f"{name} must be a whole number from {low} to {high}, not {raw!r}.")
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
    """Set the defaults of `make run` on one machine."""
    os.environ["DATA_DIR"] = str(data_dir())
    set_default("SANDBOX", "true")
    set_default("PUBLIC_URL", public_url())
    if is_missing("SECRET_KEY"):
        os.environ["SECRET_KEY"] = secret_key(data_dir())


def is_missing(name: str) -> bool:
    return not os.environ.get(name)


def migrate_url() -> str:
    """Database URL of the owner of the tables; without one, that of the run role."""
    return os.environ.get("MIGRATE_DATABASE_URL") or os.environ.get("DATABASE_URL") or ""


@contextmanager
def placeholders_where_missing() -> Iterator[None]:
    """Set values with which settings load, for commands that only read code: nothing is started or written."""
    set_default("DATABASE_URL", f"postgres://aval@/aval?host={quote(str(data_dir() / 'run'), safe='')}")
    set_default("REDIS_URL", f"unix://{quote(str(data_dir() / 'run'))}/redis.sock")
    set_default("SECRET_KEY", secrets.token_urlsafe(48))
    set_default("SANDBOX", "true")
    yield
