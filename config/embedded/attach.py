"""Context manager that provides embedded servers where no URLs are given."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config.run.data_folder import secret_key
from config.run.environment import fill_in, set_default
from config.variables import data_dir, is_missing

if TYPE_CHECKING:
    from config.embedded.stack import Servers


@contextmanager
def embedded_where_missing() -> Iterator["Servers | None"]:
    """Set DATABASE_URL and REDIS_URL, to embedded servers where they are not given. Yields None if both are given.

    Raises `config.embedded.stack.EmbeddedError`, whose text is one sentence for the terminal.
    """
    if not is_missing("DATABASE_URL") and not is_missing("REDIS_URL"):
        if is_missing("SECRET_KEY") and (data_dir() / "secret_key").is_file():  # of a `make run` with these URLs
            os.environ["SECRET_KEY"] = secret_key(data_dir())
        yield None
        return
    from config.embedded import stack

    with stack.stack(data_dir(), postgres=is_missing("DATABASE_URL"), redis=is_missing("REDIS_URL")) as servers:
        set_default("DATABASE_URL", servers.database_url)
        set_default("REDIS_URL", servers.redis_url)
        fill_in()
        yield servers
