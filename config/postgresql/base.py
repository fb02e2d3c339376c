"""Database backend for `DATABASES["default"]["ENGINE"]`; Django looks for `DatabaseWrapper` here."""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL with a health check that polls the socket.

    Django's own asks `SELECT 1` at the first query of every request and task. A server that has gone has closed the
    connection, and one that shuts down says so before it does: both make the socket readable, which costs one system
    call to find out. A server that vanishes without a word is found by `tcp_user_timeout` as it is by `SELECT 1`.
    """

    def is_usable(self) -> bool:
        if self.connection is not None and not self.errors_occurred and self._is_quiet():
            return True
        return super().is_usable()

    def _is_quiet(self) -> bool:
        """Whether the connection is idle and the server has sent nothing since the last answer."""
        pgconn = self.connection.pgconn
        if self.connection.closed or pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        poller = select.poll()
        poller.register(pgconn.socket, select.POLLIN)
        return not poller.poll(0)
