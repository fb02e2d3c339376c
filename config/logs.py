"""Log formatter: one JSON object a line, without codes and personal data."""

import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonEncoder, JsonFormatter

from clients import request_id

CODE_IN_PATH = re.compile(r"(/verify(?:/|%2[fF]))(?!\(\?P<)[^\s\"'?#]+")
"""The last segment of `GET /client/:id/verify/:token` is the code. Our own lines name routes, not paths; this
masks it in lines of libraries."""

MASK = "***"
_POSTGRESQL_DETAILS = re.compile(r"(?:\n|\\n)\s*(?:DETAIL|CONTEXT|HINT|QUERY|STATEMENT|LINE \d+):.*", re.S)
"""Further lines of a PostgreSQL error, which repeat values of a row or a statement; the first names the fault."""
_PERSONAL = (
    re.compile(r"[^\s@\"'<>(),;:=]+@[^\s@\"'<>(),;:=]+"),  # an e-mail address
    re.compile(r"\+?\d{6,}"),  # a telephone or document number
    re.compile(r"(?<=: )(['\"]).*\1", re.S),  # the value that a conversion refused
)
MAX_CHARACTERS = 2000
"""Longest text of an exception."""
_MIN_CHARACTERS = 3
"""Shorter values of a request are not masked: they occur in ordinary words."""


_ENCODER = JsonEncoder(ensure_ascii=False)


def _serialized(data: dict[str, Any], **_: Any) -> str:
    """As `json.dumps` with these options, which makes an encoder for every line."""
    return _ENCODER.encode(data)


class RequestId(logging.Filter):
    """Gives each record the id of its request, which only the thread that logs knows."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = request_id.current()
        if request is not None:
            record.request_id = request.id
        return True


class JsonLineFormatter(JsonFormatter):
    """Formatter with time (UTC, ISO 8601), level, logger, message and extra fields; a traceback is one string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            json_serializer=_serialized,
            reserved_attrs=[*RESERVED_ATTRS, "request"],  # Django adds it; as text it holds path and query
            **kwargs,
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler may have cached its own text of the traceback
        line = super().format(record)
        return CODE_IN_PATH.sub(r"\1****", line) if "/verify" in line else line

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data["message"] = _POSTGRESQL_DETAILS.sub("", str(log_data.get("message", "")))
        if "fault" in log_data:  # the field of our own lines for an exception's text
            log_data["fault"] = scrubbed(str(log_data["fault"]), self.hidden())

    @staticmethod
    def hidden() -> list[str]:
        """Values of the current request to mask, the longest first."""
        request = request_id.current()
        values = request.values() if request else ()
        return sorted((value for value in values if len(value) >= _MIN_CHARACTERS), key=len, reverse=True)

    def formatException(self, ei: Any) -> str:
        """Traceback with masked exception texts."""
        return "\n".join(reversed(list(_chain(ei[1], self.hidden()))))


def scrubbed(text: str, hidden: Iterable[str] = ()) -> str:
    """An exception's text without values of rows and requests."""
    text = _POSTGRESQL_DETAILS.sub("", text)
    for value in hidden:
        text = text.replace(value, MASK)
    for pattern in _PERSONAL:
        text = pattern.sub(MASK, text)
    return text[:MAX_CHARACTERS]


def _chain(fault: BaseException | None, hidden: Iterable[str]) -> Iterator[str]:
    """The exception and its causes, the newest first."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        kind = f"{type(fault).__module__}.{type(fault).__qualname__}"
        frames = "".join(traceback.format_tb(fault.__traceback__))
        yield f"{frames}{kind}: {scrubbed(str(fault), hidden)}"
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def logging_at(level: str) -> dict[str, Any]:
    """Django's LOGGING: this level to standard error, with less from some libraries."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "config.logs.JsonLineFormatter"}},
        "filters": {"request_id": {"()": "config.logs.RequestId"}},
        "handlers": {
            "stderr": {"class": "config.log_writer.LogWriter", "formatter": "json", "filters": ["request_id"]}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": "INFO"},
            # The access log has every error by route; Django's own line names the path, which may hold a code.
            # Faults and denied pages have their own lines (external_api.traces).
            "django.request": {"level": "CRITICAL"},
            "django.security": {"level": "CRITICAL"},
            "axes": {"level": "WARNING"},
            "waitress": {"level": "WARNING"},  # lower levels: callers that disconnected
            "waitress.queue": {"level": "ERROR"},  # a request waits for a thread: the access log has the times
            # two sweeps every two seconds would log three lines each
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
        },
    }
