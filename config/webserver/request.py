"""Request parser of waitress, with bounds on what surrounds a chunked body."""

import re
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

MAX_FRAMING_BYTES = 64 * 1024
"""Limit for the framing of a chunked body: sizes, extensions, trailer. waitress handles each chunk by itself, and 8 MiB
in chunks of one byte would keep the process busy for seconds."""
MAX_REFUSED_HEAD_BYTES = 4096
"""Bytes of a refused header that are kept to find the path."""


_TRANSFER_ENCODING = re.compile(rb"\ntransfer-encoding:([^\r\n]*)", re.I)


class RequestParser(HTTPRequestParser):
    """Parser of one request. `refused_head` is the beginning of a header that could not be parsed."""

    refused_head = b""
    error: Any

    def received(self, data: bytes) -> int:
        head = b"" if self.headers_finished else (self.header_plus + data)[:MAX_REFUSED_HEAD_BYTES]
        consumed: int = super().received(data)
        if self.chunked and not self.error:
            self._check_chunks()
        if self.error and head:
            self.refused_head = head
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as fault:  # from urlsplit for "//[", from int for 5,000 digits
            raise ParsingError(str(fault)) from None
        if self.version not in ("1.0", "1.1"):  # waitress would take it for HTTP/1.0
            self._refuse("not HTTP/1.1")
        elif self.chunked and "CONTENT_LENGTH" in self.headers:  # a proxy before us might use the other one
            self._refuse("both Transfer-Encoding and Content-Length")
        elif self.version == "1.0" and "TRANSFER_ENCODING" in self.headers:  # RFC 9112, section 6.1: faulty framing
            self._refuse("Transfer-Encoding in HTTP/1.0")
        elif not self._is_coding_clear(header_plus):
            self._refuse("Transfer-Encoding other than chunked, once")

    @staticmethod
    def _is_coding_clear(header: bytes) -> bool:
        """Whether Transfer-Encoding is absent or exactly `chunked`. No sender may apply it twice (RFC 9112, 6.1),
        and a proxy before us may read an empty or a repeated one in another way; waitress takes both."""
        codings = [value.strip(b" \t").lower() for value in _TRANSFER_ENCODING.findall(header)]
        return codings in ([], [b"chunked"])

    def _check_chunks(self) -> None:
        body: Any = self.body_rcv
        if self._framing() > MAX_FRAMING_BYTES:
            self._refuse("too much around the chunks")
        elif body.chunk_remainder + len(body) >= self.adj.max_request_body_size:  # as announced, before it comes
            self._refuse("a chunk too large", RequestEntityTooLarge)

    def _refuse(self, why: str, kind: type[Error] = BadRequest) -> None:
        self.error = kind(why)
        self.completed = True

    def _framing(self) -> int:
        body: Any = self.body_rcv
        return int(self.body_bytes_received) - len(body)
