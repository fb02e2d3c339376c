"""A line between two of our processes that can be cut, slowed, refused, or left half open: connected, and dead.

Threads of the process that runs the scenario: nothing it does to the others touches it.
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
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._lines: set[socket.socket] = set()
        self._listens = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._listen()

    def freeze(self) -> None:
        """Half open: whoever connects is connected and whoever writes may write; nothing arrives anywhere."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Ends every connection with a reset; what was under way is gone."""
        with self._lock:
            lines, self._lines = self._lines, set()
        for line in lines:
            _reset(line)

    def refuse(self) -> None:
        """Nobody listens here any more; what is connected stays. Returns when the kernel refuses, too."""
        self._listens.clear()
        self._accepting.join()
        self._listener.close()

    def listen(self) -> None:
        """Again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._listen()

    def heal(self) -> None:
        """As in the beginning. Lines that were half open are cut: their ends have given up on them long ago."""
        self.delay = 0.0
        if not self._flows.is_set():
            self.cut()
            self.thaw()
        if not self._listens.is_set():
            self.listen()

    def connections(self) -> int:
        with self._lock:
            return len(self._lines) // 2

    def close(self) -> None:
        self.refuse()
        self.cut()
        self.thaw()

    def _listen(self) -> None:
        self._listens.set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)  # a close would not wake who accepts
        while self._listens.is_set():
            with suppress(OSError):
                line, _ = self._listener.accept()
                line.settimeout(None)
                threading.Thread(target=self._join, args=[line], daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        try:
            far = self._reach()
        except OSError:
            _reset(near)
            return
        with self._lock:
            self._lines |= {near, far}
        back = threading.Thread(target=self._pump, args=[far, near], daemon=True)
        back.start()
        self._pump(near, far)
        back.join()
        with self._lock:
            self._lines -= {near, far}
        near.close()
        far.close()

    def _reach(self) -> socket.socket:
        if isinstance(self.target, tuple):
            return socket.create_connection(self.target, timeout=5)
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            source.settimeout(None)
            while piece := source.recv(65536):
                self._flows.wait()
                time.sleep(self.delay)
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _reset(line: socket.socket) -> None:
    """RST instead of FIN, and no thread is left reading."""
    with suppress(OSError):
        if line.family == socket.AF_INET:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        line.shutdown(socket.SHUT_RDWR)
    line.close()
