"""Sender of django-phone-verify that keeps nothing: the code goes into the header X-Code of the answer under way."""

import threading
from collections.abc import Callable
from typing import Any

from phone_verify.backends.base import BaseBackend  # type: ignore[import-not-found]  # in a venv of its own

_sent = threading.local()


class Sender(BaseBackend):
    def send_sms(self, number: str, message: str) -> None:
        _sent.code = message

    def send_bulk_sms(self, numbers: list[str], message: str) -> None:
        raise NotImplementedError


def code_header(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Middleware: a request and its answer are in one thread."""

    def respond(request: Any) -> Any:
        _sent.code = ""
        response = get_response(request)
        if _sent.code:
            response["X-Code"] = _sent.code
        return response

    return respond
