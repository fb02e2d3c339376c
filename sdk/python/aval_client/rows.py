"""Rows of a streamed list of contract 1, one at a time and in constant memory."""

import codecs
import json
from collections.abc import Generator, Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, Generic, TypeVar

import httpx

from aval_client.errors import BrokenAnswer
from aval_client.transport import transport_errors

Row = TypeVar("Row")
_BEGIN = '"data":['
"""What stands before the rows. The server writes no blanks, and no text before it."""
_DECODER = json.JSONDecoder()


class Rows(Generic[Row]):
    """Iterator over the rows of one answer, which is closed at its end, by `with` or by `close()`.

    Whoever takes long over each row should collect them first: the installation ends a list that is read slowly.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.envelope: dict[str, Any] = {}
        """`id_solicitud`, `timestamp` and `resultados` with `cuenta`, once all rows are out."""
        self._response = response
        self._rows = self._read()

    def __iter__(self) -> "Rows[Row]":
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def __enter__(self) -> "Rows[Row]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the list early."""
        self._rows.close()
        self._response.close()

    def _read(self) -> Generator[Row, None, None]:
        with closing(self._response):
            chunks = self._texts()
            text = ""
            while _BEGIN not in text:
                text += _next(chunks)
            head, _, text = text.partition(_BEGIN)
            count = 0
            while True:
                text = text.lstrip(",")
                if not text:
                    text = _next(chunks)
                elif text[0] == "]":
                    break
                elif (found := _first_value(text)) is None:
                    text += _next(chunks)
                else:
                    row, end = found
                    count += 1
                    text = text[end:]
                    yield row
            self.envelope = _envelope(head + _BEGIN + text + "".join(chunks), count)

    def _texts(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        with transport_errors():
            for chunk in self._response.iter_bytes():
                yield decoder.decode(chunk)


def _next(chunks: Iterator[str]) -> str:
    try:
        return next(chunks)
    except StopIteration:
        raise BrokenAnswer("the list ends early") from None


def _first_value(text: str) -> tuple[Any, int] | None:
    """The JSON value at the beginning, and where it ends; None while it is not complete."""
    try:
        return _DECODER.raw_decode(text)
    except ValueError:
        return None


def _envelope(text: str, count: int) -> dict[str, Any]:
    """What is around the rows. Raises BrokenAnswer if it has no end, or counts other rows than came."""
    try:
        envelope = dict(json.loads(text))
    except ValueError:
        raise BrokenAnswer("the list ends early") from None
    promised = envelope.get("resultados", {}).get("cuenta")
    if promised != count:
        raise BrokenAnswer(f"{count} rows came of {promised}")
    return envelope
