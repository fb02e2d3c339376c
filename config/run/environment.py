"""Defaults of environment variables, set before Django is loaded; given values stay.

With DATABASE_URL and REDIS_URL given, the embedded servers are not even imported.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from config.run.data_folder import secret_key
from config.variables import data_dir, is_missing, public_url


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
