"""What a thread does for a request: the application's answer, or the server's own refusal."""

from typing import Any

from django.http import HttpResponse
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error


class CorkedTask(WSGITask):
    """Answer of the application, its header sent together with the beginning of its body."""

    channel: Any

    @property
    def is_head(self) -> bool:
        return bool(self.request.command == "HEAD")

    @property
    def has_body(self) -> bool:
        """A HEAD keeps its Content-Length (RFC 9110, section 9.3.2), and is not answered in chunks."""
        return bool(super().has_body) and (not self.is_head or self.content_length is not None)

    def write(self, data: bytes) -> None:
        if self.is_head:
            data = b""
        if self.wrote_header:
            super().write(data)
            return
        channel = self.channel
        parts: list[bytes] = []
        self.channel = _Parts(channel, parts)
        try:
            super().write(data)
        finally:
            self.channel = channel
        channel.write_soon(b"".join(parts))


class _Parts:
    """Stands in for a channel while a header is written."""

    def __init__(self, channel: Any, parts: list[bytes]) -> None:
        self.server = channel.server
        self.write_soon = parts.append


class RefusalTask(ErrorTask):
    """Refusal by the server itself: in the contract's envelope below a contract, a line of text elsewhere.

    Where the path cannot be told, the connection closes without an answer.
    """

    def execute(self) -> None:
        path = _path_of(self.request)
        self.set_close_on_finish()
        self.channel.must_linger = True
        if path is None:
            self.wrote_header = self.complete = True
            return
        response = refusal(path, self.request.error)
        self.status = f"{response.status_code} {response.reason_phrase}"
        self.response_headers.extend(response.items())
        self.content_length = len(response.content)
        if getattr(self.request, "command", "") != "HEAD":
            self.write(response.content)


def refusal(path: str, error: Error) -> HttpResponse:
    """The answer for a request that never became one."""
    from external_api.middleware import enveloped  # here: another application than Aval's has no contracts
    from external_api.spaces import contract_of

    contract = contract_of(path)
    if contract is not None:
        return enveloped(contract, error.code if error.code in (413, 500) else 400)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}
    text = "La solicitud es demasiado grande." if error.code in (413, 431) else "La solicitud no es válida."
    return HttpResponse(text, status=error.code, content_type="text/plain; charset=utf-8", headers=headers)


def _path_of(request: Any) -> str | None:
    if not request.refused_head:
        return getattr(request, "path", None)
    words = request.refused_head.lstrip().split(b"\r\n", 1)[0].split(b" ")
    if len(words) < 2 or not words[1].startswith(b"/"):
        return None
    from waitress.parser import unquote_bytes_to_wsgi

    return str(unquote_bytes_to_wsgi(words[1].split(b"?", 1)[0]))
