"""Exchange of statements over the default connection, which its backend `config.postgresql` has."""

from collections.abc import Mapping
from typing import Any, cast

from django.db import connection

Statement = tuple[str, Mapping[str, Any]]
"""SQL with named placeholders, and their values."""
Rows = list[tuple[Any, ...]]


def exchange(*statements: Statement) -> list[Rows]:
    """Execute statements, all sent before the first answer is read; return the rows of each. Raises django.db.Error."""
    return cast(list[Rows], cast(Any, connection).exchange(*statements))


def execute_with_commit(*statements: Statement) -> None:
    """Execute statements whose rows nobody needs together with the COMMIT of the open transaction, in one exchange.

    What they raise (django.db.Error), its `atomic` raises. Whatever else follows in the transaction comes after them.
    """
    cast(Any, connection).execute_with_commit(*statements)
