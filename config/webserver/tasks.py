"""Tasks of the server's threads: the application's answer, or the server's own error."""

import logging
from typing import Any
from uuid import uuid4

from django.http import HttpResponse
from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error, InternalServerError

log = logging.getLogger("aval.web")

STOPPING = "aval.stopping"
"""In the environment of a request: whether the server has been told to stop. `/health/ready` says so."""


class CorkedTask(WSGITask):
    """Answer of the application, its header sent together with the beginning of its body."""

    channel: Any

    def execute(self) -> None:
        """Log a fault outside of all middleware or amid a stream: waitress's own line names the path, which may hold a
        code."""
        try:
            super().execute()
        except ClientDisconnected:
            raise
        except Exception:
            log.exception("an internal fault")
            self.set_close_on_finish()
            if not self.wrote_header:
                _answer(self, error_response(self.request.path, InternalServerError("")))

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[STOPPING] = self.channel.server.is_stopping
        return environment

    def build_response_header(self) -> bytes:
        """Say `Connection: close` once the server stops: a proxy then sends no further request on this connection."""
        if self.channel.server.is_stopping:
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())

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
    """Substitute of a channel that collects the parts of a header."""

    def __init__(self, channel: Any, parts: list[bytes]) -> None:
        self.server = channel.server
        self.write_soon = parts.append


class EnvelopedErrorTask(ErrorTask):
    """Error of the server itself: in the contract's envelope below a contract, a line of text elsewhere.

    Without a readable path, the connection closes without an answer.
    """

    def execute(self) -> None:
        path = _path_of(self.request)
        self.set_close_on_finish()
        self.channel.must_linger = True
        if path is None:
            self.wrote_header = self.complete = True
            return
        _answer(self, error_response(path, self.request.error))


def _answer(task: Any, response: HttpResponse) -> None:
    task.status = f"{response.status_code} {response.reason_phrase}"
    task.response_headers[:] = response.items()
    task.content_length = len(response.content)
    task.complete = True
    task.write(b"" if getattr(task.request, "command", "") == "HEAD" else response.content)


def error_response(path: str, error: Error) -> HttpResponse:
    """Answer to a request that could not be parsed."""
    from external_api import security_headers, traces  # here: another application than Aval's has no contracts
    from external_api.middleware import error_response_for_status
    from external_api.routing import contract_of

    contract = contract_of(path)
    if contract is not None:
        response = error_response_for_status(contract, error.code if error.code in (413, 500) else 400)
    else:
        text = _TEXTS.get(error.code, "La solicitud no es válida.")
        response = HttpResponse(text, status=error.code, content_type="text/plain; charset=utf-8")
    response.headers[traces.HEADER] = uuid4().hex
    for name, value in security_headers.always().items():
        response.headers.setdefault(name, value)
    return response


_TEXTS = {
    413: "La solicitud es demasiado grande.",
    431: "La solicitud es demasiado grande.",
    500: "Ocurrió un error interno.",
}


def _path_of(request: Any) -> str | None:
    if not request.refused_head:
        return getattr(request, "path", None)
    words = request.refused_head.lstrip().split(b"\r\n", 1)[0].split(b" ")
    if len(words) < 2 or not words[1].startswith(b"/"):
        return None
    from waitress.parser import unquote_bytes_to_wsgi

    return str(unquote_bytes_to_wsgi(words[1].split(b"?", 1)[0]))
