"""Database backend of `DATABASES["default"]["ENGINE"]`; Django imports `DatabaseWrapper` from here."""

import select
from contextlib import ExitStack
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from config.postgresql.exchange import Exchanger, Rows, Statement


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL with exchanges of several statements, and a health check that polls the socket."""

    health_check_done: bool
    _exchanger: Exchanger | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._with_commit: list[Statement] = []
        """Statements of the open transaction that the server has not got yet."""

    def exchange(self, *statements: Statement) -> list[Rows]:
        """Execute statements with named placeholders in one exchange; return the rows of each.

        Raises django.db.Error, as a cursor does. Where something watches statements (a test that counts them), and
        behind a pooler, cursors execute them.
        """
        before, self._with_commit = self._with_commit, []
        return self._exchange((*before, *statements))[len(before) :]

    def execute_with_commit(self, *statements: Statement) -> None:
        """Execute statements whose rows nobody needs in the exchange that commits the open transaction.

        Its `atomic` then raises what they raise. They are executed at once where the transaction does not end with the
        innermost `atomic`, and before anything else that follows in the transaction.
        """
        if self.in_atomic_block and not self.savepoint_ids and self._direct() is not None:
            self._with_commit += statements
        else:
            self.exchange(*statements)

    def _exchange(self, statements: tuple[Statement, ...]) -> list[Rows]:
        self.close_if_health_check_failed()
        self.ensure_connection()
        self.validate_thread_sharing()
        self.validate_no_broken_transaction()
        with self.wrap_database_errors:
            exchanger = self._direct()
            return exchanger.run(statements) if exchanger else self._by_cursors(statements)

    def is_usable(self) -> bool:
        """Whether the server still serves this connection.

        Django's own check sends `SELECT 1` before the first query of every request and task. A server that ended has
        closed the connection, and one that shuts down announces it: both make the socket readable, which one system
        call shows. A server that vanishes silently is found by `tcp_user_timeout`, as it would be by `SELECT 1`.
        """
        if self.connection is not None and not self.errors_occurred and self._is_quiet():
            return True
        return super().is_usable()

    def close_if_health_check_failed(self) -> None:
        if not self.health_check_done:  # asked by each statement, and checked once a request
            super().close_if_health_check_failed()

    def _set_autocommit(self, autocommit: bool) -> None:
        """As psycopg's setter, which asks for its lock and runs a generator to do the same."""
        connection: Any = self.connection
        if connection.pgconn.transaction_status == TransactionStatus.IDLE and connection._pipeline is None:
            connection._autocommit = autocommit
        else:
            super()._set_autocommit(autocommit)  # type: ignore[misc]

    def _cursor(self, name: str | None = None) -> Any:
        if self._with_commit:
            self.exchange()
        return super()._cursor(name)  # type: ignore[misc]

    def _commit(self) -> None:
        exchanger = self._direct()
        if exchanger is None or exchanger.connection.pgconn.transaction_status != TransactionStatus.INTRANS:
            if self._with_commit:
                self.exchange()
            super()._commit()  # type: ignore[misc]
            return
        statements, self._with_commit = self._with_commit, []
        with self.wrap_database_errors:
            exchanger.commit(statements)

    def _rollback(self) -> None:
        self._with_commit = []
        super()._rollback()  # type: ignore[misc]

    def _close(self) -> None:
        self._with_commit = []
        super()._close()  # type: ignore[misc]

    def _direct(self) -> Exchanger | None:
        """The exchanger of the open connection; None: statements are to go through cursors."""
        connection = self.connection
        if connection is None or connection.closed or connection.prepare_threshold is None:
            return None
        if self.queries_logged or self.execute_wrappers or connection.isolation_level is not None:
            return None
        if self._exchanger is None or self._exchanger.connection is not connection:
            self._exchanger = Exchanger(connection)
        return self._exchanger

    def _by_cursors(self, statements: tuple[Statement, ...]) -> list[Rows]:
        with ExitStack() as stack:
            cursors = [stack.enter_context(self.cursor()) for _ in statements]
            with self.connection.pipeline():
                for cursor, (sql, parameters) in zip(cursors, statements, strict=True):
                    cursor.execute(sql, parameters)
            return [cursor.fetchall() if cursor.description else [] for cursor in cursors]

    def _is_quiet(self) -> bool:
        """Whether the connection is idle and holds no unread data of the server."""
        pgconn = self.connection.pgconn
        if self.connection.closed or pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        poller = select.poll()
        poller.register(pgconn.socket, select.POLLIN)
        return not poller.poll(0)
