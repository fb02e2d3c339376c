"""The rules of the house that a machine can see."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ["clients", "staff", "messaging", "tokens", "external_api", "subscription", "config", "bench", "chaos"]
SOURCES = [
    path for room in ROOMS for path in (ROOT / room).rglob("*.py") if not {"migrations", "tests"} & set(path.parts)
]
NO_HTTP = {"django.http", "django.views", "django.urls", "django.shortcuts", "rest_framework"}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_its_functions_are(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 45, f"{node.name} is too long"
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)


@pytest.mark.parametrize("room", ["clients", "messaging", "tokens"])
def test_the_domain_knows_nothing_of_http(room):
    for path in (ROOT / room).rglob("*.py"):
        if any(part == "tests" or part.startswith("admin") for part in path.relative_to(ROOT).parts):
            continue
        for name in imports(ast.parse(path.read_text())):
            assert not any(name == banned or name.startswith(banned + ".") for banned in NO_HTTP), f"{path}: {name}"


@pytest.mark.parametrize("room", ["clients", "messaging", "tokens", "external_api"])
def test_production_code_does_not_ask_whether_a_test_is_running(room):
    for path in (ROOT / room).rglob("*.py"):
        if "tests" not in path.parts:
            assert not re.search(r"pytest|sys\.argv|unittest", path.read_text()), path


def test_every_room_says_what_it_is_for():
    for room in ROOMS:
        assert ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())), room


def test_no_room_is_called_what_says_nothing():
    banned = {"core", "common", "utils", "helpers", "signals", "constants"}
    for path in SOURCES:
        assert path.stem not in banned, path


def test_every_setting_is_explained_to_the_operator():
    settings = (ROOT / "config" / "settings.py").read_text()
    names = set(re.findall(r'(?:_bool|_number|_choice|_required|env\.str|env\.list|env\.db)\("([A-Z_]+)"', settings))
    example = (ROOT / ".env.example").read_text()
    assert names
    assert {name for name in names if not re.search(rf"^#? ?{name}=", example, re.M)} == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_statement_joins_with_a_query_that_has_a_limit(path):
    """`id IN (SELECT ... LIMIT n)` may run once per row while statistics are stale; `= ANY (ARRAY(SELECT ...))` runs
    once (messaging/tests/test_stale_statistics.py)."""
    assert not re.search(r"\bIN \((?:\s|\"|')*(?:SELECT|\{)[^;]{0,600}?\bLIMIT\b", path.read_text())
