"""House rules that a machine can check: sizes, imports, docstrings, lint exceptions and settings."""

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

from config.variables import BASE_DIR
from testkit.packages import APPS, PACKAGES, sources

SOURCES = sources(*PACKAGES, "sdk/python")
NO_HTTP = {"django.http", "django.views", "django.urls", "django.shortcuts", "rest_framework"}
NOQA = re.compile(r"#\s*noqa\b.*", re.I)
NOQA_WITH_REASON = re.compile(r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*  \S.*")


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_a_file_is_short_and_its_functions_are(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 45, f"{node.name} is too long"
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)


@pytest.mark.parametrize("app", ["clients", "messaging", "tokens"])
def test_the_domain_does_not_import_http(app):
    for path in (BASE_DIR / app).rglob("*.py"):
        if any(part == "tests" or part.startswith("admin") for part in path.relative_to(BASE_DIR).parts):
            continue
        for name in imports(ast.parse(path.read_text())):
            assert not any(name == banned or name.startswith(banned + ".") for banned in NO_HTTP), f"{path}: {name}"


@pytest.mark.parametrize("app", APPS)
def test_production_code_does_not_ask_whether_a_test_is_running(app):
    for path in sources(app):
        assert not re.search(r"pytest|sys\.argv|unittest", path.read_text()), path


def test_every_package_has_a_docstring():
    for package in PACKAGES:
        assert ast.get_docstring(ast.parse((BASE_DIR / package / "__init__.py").read_text())), package


def test_no_module_has_a_name_without_meaning():
    banned = {"core", "common", "utils", "helpers", "signals", "constants"}
    for path in SOURCES:
        assert path.stem not in banned, path


def test_the_lists_of_packages_outside_python_are_complete():
    makefile = re.search(r"^APPS = (.+)$", (BASE_DIR / "Makefile").read_text(), re.M)
    assert makefile
    assert sorted(makefile[1].split()) == sorted((*APPS, "config"))
    linter = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert sorted(linter["root_packages"]) == sorted((*APPS, "config"))
    nobody_imports_config = next(each for each in linter["contracts"] if each.get("forbidden_modules") == ["config"])
    assert sorted(nobody_imports_config["source_modules"]) == sorted(APPS)


def cycle_of(graph: dict[str, set[str]]) -> list[str]:
    """One import cycle of a graph from modules to those that they import, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as fault:
        return list(fault.args[1])
    return []


def test_no_modules_import_each_other():
    """Imports inside functions count; those for type annotations alone (TYPE_CHECKING) do not."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imported.values())) > 500, "the graph is read"
    assert cycle_of(imported) == []


def test_the_search_for_cycles_finds_one():
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def lines_of_code() -> Iterator[tuple[str, str]]:
    """Place and text of each line of Python, tests included; migrations and this file are left out."""
    folders = [BASE_DIR / name for name in (*PACKAGES, "sdk/python", "tests")]
    for path in (*BASE_DIR.glob("*.py"), *(path for folder in folders for path in sorted(folder.rglob("*.py")))):
        if "migrations" not in path.parts and path.name != "test_house_rules.py":
            for number, line in enumerate(path.read_text().splitlines(), 1):
                yield f"{path.relative_to(BASE_DIR)}:{number}", line


def test_the_formatter_is_nowhere_switched_off():
    assert [place for place, line in lines_of_code() if re.search(r"#\s*fmt:\s*(?:skip|off)", line)] == []


def test_each_lint_exception_names_its_rule_and_its_reason():
    """`# noqa: RULE`, two blanks, and the reason in words."""
    found = [(place, match[0]) for place, line in lines_of_code() if (match := NOQA.search(line))]
    assert len(found) > 20, "they are found"
    assert [each for each in found if not NOQA_WITH_REASON.fullmatch(each[1])] == []


def test_every_setting_is_explained_to_the_operator():
    settings = (BASE_DIR / "config" / "settings.py").read_text()
    names = set(re.findall(r'(?:_bool|_number|_choice|_required|env\.str|env\.list|env\.db)\("([A-Z_]+)"', settings))
    example = (BASE_DIR / ".env.example").read_text()
    assert names
    assert {name for name in names if not re.search(rf"^#? ?{name}=", example, re.M)} == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_no_statement_joins_with_a_query_that_has_a_limit(path):
    """`id IN (SELECT ... LIMIT n)` may run once per row while statistics are stale; `= ANY (ARRAY(SELECT ...))` runs
    once (messaging/tests/test_stale_statistics.py)."""
    assert not re.search(r"\bIN \((?:\s|\"|')*(?:SELECT|\{)[^;]{0,600}?\bLIMIT\b", path.read_text())


def test_no_test_module_imports_another():
    """What two of them need is a module of its own, so that neither's fixtures come along unseen."""
    for path in BASE_DIR.rglob("test_*.py"):
        if ".venv" not in path.parts:
            found = [name for name in imports(ast.parse(path.read_text())) if re.search(r"\btests\.test_", name)]
            assert found == [], path
