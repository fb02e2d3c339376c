"""Names that are gone, so that they do not come back: metaphors for which the field has a word (docs/glossary.md).

Migrations, the glossary, the changes, the decisions and this list may name them, and so may `db_column=`.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXEMPT = re.compile(
    r"(?:.*/)?migrations/|docs/adr/|docs/glossary\.md|CHANGELOG\.md|tests/test_names\.py|tests/peers/|locale/"
)
TEXT = {".py", ".md", ".html", ".txt", ".toml", ".ini", ".yaml", ".yml", ".conf", ".css", ".js", ".in", ""}

WORDS = {
    "ageing": "retention",
    "crew": "thread pool",
    "doorbell": "wake-up",
    "field of fire": "chaos stack",
    "ground floor": "clients",
    "keeper": "watchdog",
    "logbook": "journal",
    "moods": "behaviours",
}
"""Never right, in code or prose, also as a part of a name; and the word instead."""

ON_DISK = {"config/embedded/watchdog.py": "keeper", "config/tests/test_embedded_servers.py": "keeper"}
"""A lock file and a log keep their names, which processes of an older version share."""

IDENTIFIERS = {
    *("Ageing", "Away", "BrokerAway", "Company", "Field", "Front", "Keeper", "Kept", "Lane", "Line", "LineBroken"),
    *("Logbook", "NothingHere", "Orders", "Pace", "RedisAway", "Remembered", "RoomForStatus", "Standing", "Turn"),
    *("AT_MOST", "AT_ONCE", "KINDS_OF", "NOBODY_CAME_IN_FOR", "ROOMS", "TOLD_AT_ONCE"),
    *("came_in", "doors", "everybody", "field_of_fire", "free_lanes", "lane", "lanes", "leave_word", "moods"),
    *("ring", "ring_after_commit", "room", "rooms", "says_of_its_health", "set_aside_now", "standing", "standing_of"),
    *("told_in_one_sentence", "went", "_drop_what_is_broken", "_hurry_again", "_room", "_say_where_messages_go"),
    *("_standing", "_take_places", "_take_the_time_it_takes", "_told"),
}
"""Names of ours that are gone: of a module, class, function, variable, parameter or attribute that the code sets."""

FILES = {
    *("acting", "bulk_acts", "callers", "crew", "doorbell", "doors", "fallbacks", "finding", "folder", "forgetting"),
    *("forgiving", "hiding", "judgement", "keeper", "ladder", "lane", "letters", "line", "logbook", "moods", "pace"),
    *("people", "places", "rates", "redis_link", "refusals", "reports", "registering", "settling", "spaces"),
    *("standing", "sweeping", "texts_of", "unsubscribing"),
}
"""Modules that are gone, without `.py`."""


def tracked() -> list[Path]:
    """Files of the project by git, or by the file system where there is no repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")]
    return [ROOT / name for name in names if not EXEMPT.match(name) and (ROOT / name).is_file()]


FILES_OF_OURS = [path for path in tracked() if path.suffix in TEXT]


FOLDERS = sorted({path.relative_to(ROOT).parts[0] for path in FILES_OF_OURS})
"""First parts of the files' paths: a test for each, as one for each file would cost more than what it does."""


def files_in(folder: str) -> list[Path]:
    return [path for path in FILES_OF_OURS if path.relative_to(ROOT).parts[0] == folder]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def set_names(source: str) -> Iterator[tuple[int, str]]:
    """Names that the code gives to something, and the lines they stand in."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str()):
                yield node.lineno, str(node.asname)


def words_that_are_gone(text: str) -> set[str]:
    """Those of WORDS in a text, also in the plural and as a part of a name; but for the names of columns."""
    spaced = re.sub(r"db_column\s*=\s*([\"'])\w+\1", "", text).lower().replace("_", " ")
    return {word for word in WORDS if re.search(rf"\b{word}s?\b", spaced)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_word_is_a_metaphor_that_is_gone(folder: str) -> None:
    found = {}
    for path in files_in(folder):
        words = words_that_are_gone(path.read_text(encoding="utf-8")) - {ON_DISK.get(relative(path))}
        found |= {f"{relative(path)}: {word}": WORDS[word] for word in words}
    assert found == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_is_one_that_is_gone(folder: str) -> None:
    files = [path for path in files_in(folder) if path.suffix == ".py"]
    assert [relative(path) for path in files if path.stem in FILES] == []
    found = {
        f"{relative(path)}: {name} (line {line})"
        for path in files
        for line, name in set_names(path.read_text())
        if name in IDENTIFIERS
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    ["def ring(): ...", "class Lane: ...", "lane = 1", "self.lane = 1", "def f(room): ...", "import x as ring"],
)
def test_a_name_that_is_gone_is_found_wherever_it_is_given(source: str) -> None:
    assert [name for _, name in set_names(source) if name in IDENTIFIERS]


@pytest.mark.parametrize("text", ["# crew", "the crew's threads", "crews", "start_crew()", "CREW = 1", '"""A Crew."""'])
def test_a_comment_is_no_place_to_hide(text: str) -> None:
    assert words_that_are_gone(text) == {"crew"}
