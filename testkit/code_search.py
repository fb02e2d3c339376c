"""Search for leaked codes in texts, keys of Redis and rows of the database.

Only codes with a digit and two letters after F can be searched for: no word, number, date or hexadecimal id looks like
them.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from testkit.stack import Stack

LONG_RANDOM = re.compile(r"[A-Za-z0-9_=-]{32,}")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}=*")
ESCAPED_BLANK = re.compile(r"\\+[nrt]")
SPELLED_OUT = re.compile(r"(?<=\b\w)\W{1,2}(?=\w\b)")


def searchable(code: str) -> bool:
    return any(each.isdigit() for each in code) and sum(each > "F" for each in code) >= 2


def readings(text: str) -> Iterator[str]:
    """The text and its decodings: percent signs, escapes, spelt-out letters and base64."""
    yield text
    if "%" in text:
        yield unquote(text)
    yield SPELLED_OUT.sub("", ESCAPED_BLANK.sub(" ", text))
    for run in BASE64.findall(text):
        whole = run.rstrip("=").translate(str.maketrans("-_", "+/"))
        whole = whole[: len(whole) - (len(whole) % 4 == 1)]
        plain = base64.b64decode(whole + "=" * (-len(whole) % 4))
        if plain.isascii():
            yield plain.decode()


def findings(texts: Mapping[str, str], wanted: Sequence[str]) -> list[str]:
    """Places of codes, in capitals or not, with their context."""
    found = []
    for where, text in texts.items():
        for reading in readings(text):
            upper = reading.upper()
            apart = LONG_RANDOM.sub(" ", upper)
            for code in wanted:
                if code in apart or (code in upper and re.search(rf"(?<![A-Z0-9]){code}(?![A-Z0-9])", upper)):
                    at = upper.index(code)
                    found.append(f"{where}: ...{reading[max(0, at - 60) : at + 20]}...")
    return found


def everything_in_redis(stack: Stack) -> dict[str, str]:
    """Every key and value of any type, and the append-only file with all commands since the start."""
    found = {}
    with stack.keys() as keys:
        read: dict[Any, Callable[..., Any]] = {
            b"string": keys.get,
            b"hash": keys.hgetall,
            b"set": keys.smembers,
            b"list": lambda key: keys.lrange(key, 0, -1),
            b"zset": lambda key: keys.zrange(key, 0, -1, withscores=True),
        }
        for key in keys.scan_iter():
            found[f"redis {key!r}"] = f"{key!r} {read[keys.type(key)](key)!r}"
    for path in (stack.folder / "redis" / "appendonlydir").iterdir():
        found[f"redis file {path.name}"] = path.read_text(errors="replace")
    return found


def everything_in_the_database(stack: Stack) -> dict[str, str]:
    """Every column of every table, bytes as text. The outbox is left out: it stands for the recipient."""
    tables = stack.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    found = {}
    for (table,) in tables:
        if table != "messaging_sandboxmessage":
            rows = stack.sql(f'SELECT * FROM "{table}"')
            found[f"table {table}"] = "\n".join(" | ".join(map(_as_text, row)) for row in rows)
    return found


def _as_text(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)
