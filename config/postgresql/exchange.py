"""Exchange with PostgreSQL: several statements are sent before the first answer is read (libpq's pipeline mode).

psycopg's cursors can do that too, at four times the processor time (docs/adr/0080-hot-statements-skip-the-cursors.md).
Values are converted by psycopg, and a statement means what it means with a cursor: it is prepared, and the first one of
a transaction begins it.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from typing import Any
from weakref import ref

import psycopg
from psycopg import generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Statement = tuple[str, Mapping[str, Any]]
"""SQL with named placeholders, and their values. The SQL is a constant: its prepared form stays with the session."""
Rows = list[tuple[Any, ...]]
_Key = tuple[bytes, tuple[int, ...]]
"""A statement and the types of its values."""

_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")


@lru_cache(maxsize=512)
def numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with PostgreSQL's placeholders ($1, $2), and the names of their values."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}" if match[1] else "%"

    return _PLACEHOLDER.sub(number, sql).encode(), tuple(names)


@dataclass(slots=True)
class _Command:
    """One message to the server, which has one result."""

    send: Callable[[], None]
    key: _Key | None = None
    name: bytes = b""
    """Of the statement that it prepares."""


class Exchanger:
    """Exchanges over one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._transformer = Transformer(connection)
        self._prepared: dict[_Key, bytes] = {}
        self._numbers = count()
        self._watch_deallocation()

    def _watch_deallocation(self) -> None:
        """psycopg deallocates all statements of a session after a rollback, ours too."""
        reference, prepared = ref(self.connection), self._prepared

        def deallocate(name: bytes | None) -> Any:
            if name is None:
                prepared.clear()
            connection: Any = reference()
            return type(connection)._deallocate(connection, name)

        self.connection._deallocate = deallocate  # type: ignore[method-assign]

    def run(self, statements: Iterable[Statement]) -> list[Rows]:
        """Return the rows of each statement. Raises psycopg.Error: that of the first one that failed."""
        connection, pgconn = self.connection, self.connection.pgconn
        commands: list[_Command] = []
        if not connection.autocommit and pgconn.transaction_status == TransactionStatus.IDLE:
            commands.append(_Command(partial(pgconn.send_query_params, b"BEGIN", None)))
        begins = len(commands)
        for sql, parameters in statements:
            commands += self._commands(sql, parameters)
        results = self._results(commands)
        return self._rows(commands[begins:], results[begins:])

    def commit(self, statements: Iterable[Statement] = ()) -> None:
        """Execute statements and end the open transaction. Raises psycopg.Error: then nothing is committed."""
        pgconn = self.connection.pgconn
        commands = [command for sql, parameters in statements for command in self._commands(sql, parameters)]
        if commands:
            commands.append(_Command(partial(pgconn.send_query_params, b"COMMIT", None)))
            self._rows(commands, self._results(commands))
            return
        with self.connection.lock:
            pgconn.send_query(b"COMMIT")
            results = self.connection.wait(generators.execute(pgconn))
        _raise_for(results[-1])

    def _results(self, commands: list[_Command]) -> list[PGresult]:
        try:
            with self.connection.lock:
                return self.connection.wait(_pipeline(self.connection.pgconn, commands))
        except BaseException:
            self.connection.close()  # in the middle of an exchange: nobody could read the rest
            raise

    def _commands(self, sql: str, parameters: Mapping[str, Any]) -> list[_Command]:
        text, names = numbered(sql)
        transformer, pgconn = self._transformer, self.connection.pgconn
        values = transformer.dump_sequence([parameters[name] for name in names], [PyFormat.AUTO] * len(names))
        key: _Key = (text, transformer.types or ())
        found = self._prepared.get(key)
        name = found or b"aval_%d" % next(self._numbers)
        execution = _Command(partial(pgconn.send_query_prepared, name, values, transformer.formats), key)
        if found:
            return [execution]
        return [_Command(partial(pgconn.send_prepare, name, text, key[1]), key, name), execution]

    def _rows(self, commands: list[_Command], results: list[PGresult]) -> list[Rows]:
        found: list[Rows] = []
        for command, result in zip(commands, results, strict=True):
            if result.status == ExecStatus.TUPLES_OK:
                self._transformer.set_pgresult(result)
                found.append(self._transformer.load_rows(0, result.ntuples, tuple))
            elif result.status != ExecStatus.COMMAND_OK:
                if command.key is not None:
                    self._prepared.pop(command.key, None)  # it may have become invalid, as after a migration
                _raise_for(result)
            elif command.name and command.key is not None:
                self._prepared[command.key] = command.name
            else:
                found.append([])
        return found


def _pipeline(pgconn: Any, commands: list[_Command]) -> Generator[Any, Any, list[PGresult]]:
    """Send the commands, then read a result for each. After one that fails the server skips the others."""
    pgconn.enter_pipeline_mode()
    for command in commands:
        command.send()
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    results: list[PGresult] = []
    for _ in commands:
        results += yield from generators.fetch_many(pgconn)
    yield from generators.fetch_many(pgconn)  # of the synchronisation
    pgconn.exit_pipeline_mode()
    return results


def _raise_for(result: PGresult) -> None:
    if result.status == ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result)
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise psycopg.InternalError(f"an unexpected result of PostgreSQL: {ExecStatus(result.status).name}")
