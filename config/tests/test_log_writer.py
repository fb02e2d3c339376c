"""Log writer: lines wait a moment and are written together; none is lost, torn or out of order."""

import json
import logging
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest

from clients import request_id
from config import log_writer
from config.log_writer import LogWriter
from config.logs import JsonLineFormatter, RequestId
from config.run.processes import wait_until


class Stream:
    """Stream that keeps each write apart."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.is_away = False

    def write(self, text: str) -> None:
        if self.is_away:
            raise BrokenPipeError
        self.writes.append(text)

    def flush(self) -> None:
        pass

    @property
    def text(self) -> str:
        return "".join(self.writes)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def log(stream: Stream) -> logging.Logger:
    log = logging.Logger("of its own")
    log.addHandler(LogWriter(stream))
    return log


def test_lines_are_written_together_after_a_moment(log: logging.Logger, stream: Stream) -> None:
    for number in range(3):
        log.info("line %d", number)
    assert stream.writes == []
    assert wait_until(lambda: bool(stream.writes), 10)
    assert stream.writes == ["line 0\nline 1\nline 2\n"]
    log.info("line 3")
    assert wait_until(lambda: len(stream.writes) == 2, 10), "the thread goes on"


def test_a_warning_writes_what_came_before_it_and_itself_at_once(log: logging.Logger, stream: Stream) -> None:
    log.info("before")
    log.warning("a warning")
    assert stream.text == "before\na warning\n"


def test_a_write_holds_whole_lines_and_no_more_than_a_pipe_keeps_whole(log: logging.Logger, stream: Stream) -> None:
    """Other processes write to the same pipe: a longer write could be torn by theirs."""
    lines = [f"{number} {'ñ' * 150}\n" for number in range(100)]
    for line in lines:
        log.info(line.rstrip("\n"))
    log.error("x" * 10_000)
    assert stream.text == "".join(lines) + "x" * 10_000 + "\n"
    assert all(each.endswith("\n") for each in stream.writes)
    assert [len(each) > log_writer.WRITE_BYTES for each in stream.writes] == [False] * (len(stream.writes) - 1) + [True]
    assert max(len(each.encode()) for each in stream.writes[:-1]) <= log_writer.WRITE_BYTES
    assert len(stream.writes) < 12


def test_whoever_logs_waits_for_the_reader_once_too_many_lines_wait(
    log: logging.Logger, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MOST_LINES", 5)
    monkeypatch.setattr(log_writer, "DELAY_SECONDS", 60)
    reader_is_back = threading.Event()
    monkeypatch.setattr(stream, "flush", lambda: reader_is_back.wait(20))
    logging_thread = threading.Thread(target=lambda: [log.info("line %d", number) for number in range(20)])
    logging_thread.start()
    logging_thread.join(0.5)
    assert logging_thread.is_alive()
    reader_is_back.set()
    logging_thread.join(20)
    assert not logging_thread.is_alive()
    for handler in log.handlers:
        handler.flush()
    assert stream.text == "".join(f"line {number}\n" for number in range(20))


def test_a_stream_that_fails_fails_nobody_and_gets_the_next_lines(
    log: logging.Logger, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.is_away = True
    log.warning("nobody reads this")
    log.info("nor this")
    assert wait_until(lambda: "BrokenPipeError" in capsys.readouterr().err, 10)
    stream.is_away = False
    assert wait_until(lambda: log.info("again") or "again\n" in stream.text, 10)


class Formatter(logging.Formatter):
    """Formatter that notes which thread made which line."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, int]] = []

    def format(self, record: logging.LogRecord) -> str:
        self.made.append((str(record.msg), threading.get_ident()))
        if record.msg == "cannot be made":
            raise ValueError("a bug")
        return super().format(record)


@pytest.fixture
def formatter(log: logging.Logger) -> Formatter:
    formatter = Formatter()
    for handler in log.handlers:
        handler.setFormatter(formatter)
    return formatter


def test_a_line_is_made_by_the_thread_that_writes_it_unless_it_could_change(
    log: logging.Logger, stream: Stream, formatter: Formatter
) -> None:
    changes = ["then"]
    log.info("plain", extra={"route": "token"})
    log.info("with %s", changes)
    log.info("of a fault", extra={"fault": "masked by the values of the request"})
    log.info("with a list", extra={"seen": changes})
    log.info(changes)
    log.info("simple", extra={"id": UUID(int=7), "at": datetime.now(UTC), "count": 1, "seconds": 0.1, "none": None})
    changes.append("now")
    assert [line for line, _ in formatter.made] == ["with %s", "of a fault", "with a list", "['then']"]
    assert wait_until(lambda: bool(stream.writes), 10)
    assert stream.text == "plain\nwith ['then']\nof a fault\nwith a list\n['then']\nsimple\n"
    assert [line for line, thread in formatter.made if thread != threading.get_ident()] == ["plain", "simple"]


def test_a_line_that_cannot_be_made_loses_no_other(
    log: logging.Logger, stream: Stream, formatter: Formatter, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in ("before", "cannot be made", "after"):
        log.info(line)
    log.error("at once")
    assert stream.text == "before\nafter\nat once\n"
    assert "a bug" in capsys.readouterr().err


def test_a_line_that_is_made_later_has_the_id_of_its_request(stream: Stream) -> None:
    logger, writer = logging.Logger("of its own"), LogWriter(stream)
    writer.setFormatter(JsonLineFormatter())
    writer.addFilter(RequestId())
    logger.addHandler(writer)
    with request_id.resumed(UUID(int=7)):
        logger.info("of a request")
    logger.info("of none")
    writer.flush()
    of_request, of_none = map(json.loads, stream.text.splitlines())
    assert of_request["request_id"] == UUID(int=7).hex
    assert "request_id" not in of_none


LOGS_AND_ENDS = """
import logging, os, sys
from config.log_writer import LogWriter
logging.basicConfig(level="INFO", format="%(message)s", handlers=[LogWriter()])
logging.info("before")
if sys.argv[1] == "forks":
    if not os.fork():
        logging.info("of the child")
        logging.shutdown()
        os._exit(0)
    os.wait()
logging.info("the last")
if sys.argv[1] == "raises":
    raise ValueError("the end")
"""


@pytest.mark.parametrize(
    ("how", "lines"),
    [
        ("ends", ["before", "the last"]),
        ("raises", ["before", "the last"]),
        ("forks", ["of the child", "before", "the last"]),
    ],
)
def test_a_process_that_ends_writes_what_waits(how: str, lines: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOGS_AND_ENDS, how], check=False, capture_output=True, text=True)
    found = [line for line in done.stderr.splitlines() if line in ("before", "the last", "of the child")]
    assert found == lines


def test_a_signal_that_logs_under_a_write_does_not_wait_for_itself(stream: Stream) -> None:
    log = logging.Logger("of its own")
    writer = LogWriter(stream)
    log.addHandler(writer)
    write, inner = stream.write, iter(["an inner warning"])

    def interrupted(text: str) -> None:
        for message in inner:
            log.warning(message)
        write(text)

    stream.write = interrupted  # type: ignore[method-assign]
    began = time.monotonic()
    log.warning("an outer warning")
    assert time.monotonic() - began < 5
    assert sorted(stream.text.splitlines()) == ["an inner warning", "an outer warning"]
