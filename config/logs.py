"""One JSON object a log line, with whatever could be a code or somebody's data taken out."""

import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from external_api import request_id

CODE_IN_PATH = re.compile(r"(/verify(?:/|%2[fF]))(?!\(\?P<)[^\s\"'?#]+")
"""The last segment of `GET /client/:id/verify/:token` is the code. Our own lines name routes, not paths; this
catches the line of a library that would print a path."""

HIDDEN = "***"
_SERVER_SAYS_MORE = re.compile(r"(?:\n|\\n)\s*(?:DETAIL|CONTEXT|HINT|QUERY|STATEMENT|LINE \d+):.*", re.S)
"""PostgreSQL's further lines repeat the values of a row or a statement; the first names the constraint or the fault."""
_PERSONAL = (
    re.compile(r"[^\s@\"'<>(),;:=]+@[^\s@\"'<>(),;:=]+"),  # a mailbox
    re.compile(r"\+?\d{6,}"),  # a telephone, a document
    re.compile(r"(?<=: )(['\"]).*\1", re.S),  # the value that a conversion did not understand
)
LONGEST = 2000
"""Characters of an exception's text."""
_SHORTEST = 3
"""A shorter value of a request is part of any word."""


class OneLine(JsonFormatter):
    """time (UTC, ISO 8601), level, logger, message and the extra fields of a record; tracebacks as one string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
            reserved_attrs=[*RESERVED_ATTRS, "request"],  # Django's lines bring it; in words it is its path and query
            **kwargs,
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        in_hand = request_id.current()
        if in_hand is not None:
            record.request_id = in_hand.id
        record.exc_text = None  # another handler may have left its own words of the traceback
        return CODE_IN_PATH.sub(r"\1****", super().format(record))

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data["message"] = _SERVER_SAYS_MORE.sub("", str(log_data.get("message", "")))
        if "fault" in log_data:  # by this name our own lines bring an exception's text
            log_data["fault"] = scrubbed(str(log_data["fault"]), self.hidden())

    @staticmethod
    def hidden() -> list[str]:
        """The values of the request in hand, the longest first."""
        in_hand = request_id.current()
        values = in_hand.values() if in_hand else ()
        return sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)

    def formatException(self, ei: Any) -> str:
        """Where it happened, and of what it says only what is nobody's data."""
        return "\n".join(reversed(list(_told(ei[1], self.hidden()))))


def scrubbed(text: str, hidden: Iterable[str] = ()) -> str:
    """An exception's text without the values of rows and requests."""
    text = _SERVER_SAYS_MORE.sub("", text)
    for value in hidden:
        text = text.replace(value, HIDDEN)
    for pattern in _PERSONAL:
        text = pattern.sub(HIDDEN, text)
    return text[:LONGEST]


def _told(fault: BaseException | None, hidden: Iterable[str]) -> Iterator[str]:
    """The exception and those it came from, the last first."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        kind = f"{type(fault).__module__}.{type(fault).__qualname__}"
        frames = "".join(traceback.format_tb(fault.__traceback__))
        yield f"{frames}{kind}: {scrubbed(str(fault), hidden)}"
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def logging_at(level: str) -> dict[str, Any]:
    """Django's LOGGING: everything of this level to standard error, and of libraries what says something new."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "config.logs.OneLine"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": "INFO"},
            # The access log has every refusal already, by route; Django's own line names the path, which may hold a
            # code. Faults and denied pages have their own lines (external_api.traces).
            "django.request": {"level": "CRITICAL"},
            "django.security": {"level": "CRITICAL"},
            "axes": {"level": "WARNING"},
            "waitress": {"level": "WARNING"},  # below: callers that went away
            "waitress.queue": {"level": "ERROR"},  # a request waits for a thread: the access log has the times
            # two sweeps every two seconds, each with three lines of nothing
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
        },
    }
