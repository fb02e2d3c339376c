"""Database backend of `DATABASES["default"]["ENGINE"]`; Django imports `DatabaseWrapper` from here."""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL with a health check that polls the socket.

    Django's own sends `SELECT 1` before the first query of every request and task. A server that ended has closed the
    connection, and one that shuts down announces it: both make the socket readable, which one system call shows. A
    server that vanishes silently is found by `tcp_user_timeout`, as it would be by `SELECT 1`.
    """

    def is_usable(self) -> bool:
        if self.connection is not None and not self.errors_occurred and self._is_quiet():
            return True
        return super().is_usable()

    def _is_quiet(self) -> bool:
        """Whether the connection is idle and holds no unread data of the server."""
        pgconn = self.connection.pgconn
        if self.connection.closed or pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        poller = select.poll()
        poller.register(pgconn.socket, select.POLLIN)
        return not poller.poll(0)
