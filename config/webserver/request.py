"""Request parser of waitress, with bounds on what surrounds a chunked body."""

from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest

FRAMING_AT_MOST = 64 * 1024
"""Bytes of a chunked body that are not body: sizes, extensions, trailer. waitress handles each chunk by itself, and
8 MiB in chunks of one byte would keep the process busy for seconds."""
HEAD_KEPT = 4096
"""Bytes of a refused header, in which the path is looked for."""


class RequestParser(HTTPRequestParser):
    """One request on its way in. `refused_head` holds the beginning of a header that could not be read."""

    refused_head = b""
    error: Any

    def received(self, data: bytes) -> int:
        head = b"" if self.headers_finished else (self.header_plus + data)[:HEAD_KEPT]
        consumed: int = super().received(data)
        if self.chunked and not self.error and self._framing() > FRAMING_AT_MOST:
            self._refuse("too much around the chunks")
        if self.error and head:
            self.refused_head = head
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.version not in ("1.0", "1.1"):  # waitress would take it for HTTP/1.0
            self._refuse("not HTTP/1.1")
        elif self.version == "1.0" and "TRANSFER_ENCODING" in self.headers:  # RFC 9112, section 6.1: faulty framing
            self._refuse("Transfer-Encoding in HTTP/1.0")

    def _refuse(self, why: str) -> None:
        self.error = BadRequest(why)
        self.completed = True

    def _framing(self) -> int:
        body: Any = self.body_rcv
        return int(self.body_bytes_received) - int(body.__len__())
