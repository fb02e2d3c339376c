"""TCP proxy whose connections can be cut, delayed, refused or left half open.

It runs in threads of the scenario's process, which no fault touches.
"""

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

Target = tuple[str, int] | Path
"""A TCP address, or the socket of a server that listens nowhere else."""


class Proxy:
    """Forwards 127.0.0.1:port to its target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.delay = 0.0
        """Seconds that each piece is held back."""
        self._forwarding = threading.Event()
        self._forwarding.set()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listening = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._listen()

    def freeze(self) -> None:
        """Half open: connects and writes succeed, and nothing arrives at the other side."""
        self._forwarding.clear()

    def thaw(self) -> None:
        self._forwarding.set()

    def cut(self) -> None:
        """Reset every connection; data under way is lost."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            _reset(connection)

    def refuse(self) -> None:
        """Stop listening; open connections stay. Returns once the kernel refuses new ones."""
        self._listening.clear()
        self._accepting.join()
        self._listener.close()

    def listen(self) -> None:
        """Listen again on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._listen()

    def heal(self) -> None:
        """Restore the initial state. Half-open connections are cut: both ends have given up on them by then."""
        self.delay = 0.0
        if not self._forwarding.is_set():
            self.cut()
            self.thaw()
        if not self._listening.is_set():
            self.listen()

    def connections(self) -> int:
        with self._lock:
            return len(self._connections) // 2

    def close(self) -> None:
        self.refuse()
        self.cut()
        self.thaw()

    def _listen(self) -> None:
        self._listening.set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)  # closing the socket would not wake accept()
        while self._listening.is_set():
            with suppress(OSError):
                connection, _ = self._listener.accept()
                connection.settimeout(None)
                threading.Thread(target=self._join, args=[connection], daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        try:
            far = self._connect()
        except OSError:
            _reset(near)
            return
        with self._lock:
            self._connections |= {near, far}
        back = threading.Thread(target=self._copy, args=[far, near], daemon=True)
        back.start()
        self._copy(near, far)
        back.join()
        with self._lock:
            self._connections -= {near, far}
        near.close()
        far.close()

    def _connect(self) -> socket.socket:
        if isinstance(self.target, tuple):
            return socket.create_connection(self.target, timeout=5)
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            source.settimeout(None)
            while data := source.recv(65536):
                self._forwarding.wait()
                time.sleep(self.delay)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN, and wake the thread that reads."""
    with suppress(OSError):
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
