"""One JSON object a log line, with whatever could be a code taken out."""

import logging
import re
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

CODE_IN_PATH = re.compile(r"(/verify(?:/|%2[fF]))[^\s\"'?#]+")
"""The last segment of `GET /client/:id/verify/:token` is the code. Our own lines name routes, not paths; this
catches the line of a library that would print a path."""


class OneLine(JsonFormatter):
    """time (UTC, ISO 8601), level, logger, message and the extra fields of a record; tracebacks as one string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
            **kwargs,
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        return CODE_IN_PATH.sub(r"\1****", super().format(record))
