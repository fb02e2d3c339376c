"""Citations in docs and docstrings: the files, names, models, tasks and permissions that they name must exist."""

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps

from config.celery import app
from testkit.packages import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (*PACKAGES, "docs", "locale", "ops", "sdk", "templates", "tests")
GENERATED = {"node_modules", "migrations", "__pycache__", "dist"}
HISTORY = {ROOT / "CHANGELOG.md", *(ROOT / "docs" / "adr").glob("0*.md")}
"""Written with the names of their time: only their links are checked."""
EXAMPLES = {"docs/adr/NNNN-title.md": "the pattern of a name"}
"""Citations of files that do not exist, with the reason."""

FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
IN_BACKTICKS = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGE = re.compile(r"(?<![\w/.{<*-])(?:[\w-]+/)*[\w-]+\.md\b")
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
BARE_PATH = re.compile(rf"(?<![\w/.{{-]){PATH.pattern}")
SECTION = re.compile(r"\b(docs/contracts/[\w-]+\.md),\s+([A-Z][\w\s-]*\w)")
"""Citation of a section: the page, a comma, and the heading up to the next mark of punctuation."""
CITING = [
    path
    for package in ("nopasanada", "informaperu", "registry")
    for name in ("contract", "views", "serializers")
    for path in [ROOT / "external_api" / package / f"{name}.py"]
]
"""Modules that implement a contract, page by page."""
DOTTED = re.compile(rf"(?:{'|'.join((*PACKAGES, 'tests'))})(?:\.\w+)+")


def files(*suffixes: str) -> list[Path]:
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += (path for path in (ROOT / folder).rglob("*") if not GENERATED & set(path.parts))
    return sorted(path for path in found if path.suffix in suffixes)


PAGES, SOURCES = files(".md"), files(".py")


def prose_of(source: str) -> str:
    """Docstrings, those below assignments included, and comments."""
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    texts += [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    return "\n".join(texts)


def quoted_words(prose: str) -> Iterator[str]:
    for quoted in IN_BACKTICKS.findall(prose):
        for word in quoted.split():
            yield word.strip("(),;:'\"").removesuffix("()")


def is_installed(path: str, beside: Path) -> bool:
    """Whether a path exists from the root, from docs/ or beside the citing file; a decision also by its number."""
    if re.fullmatch(r"docs/adr/\d{4}", path):
        return any(ROOT.glob(f"{path}-*.md"))
    return any((base / path).exists() for base in (ROOT, ROOT / "docs", beside.parent))


@cache
def _tasks() -> set[str]:
    """Names of all Celery tasks; their modules must be imported first."""
    app.loader.import_default_modules()
    return set(app.tasks)


def resolves(name: str) -> bool:
    """Whether a dotted name is a module of ours, a name in one, a model, a task or a permission."""
    parts = name.split(".")
    if name in _tasks() or _is_model_or_right(parts):
        return True
    for length in range(len(parts), 0, -1):
        module = Path(ROOT, *parts[:length])
        if module.with_suffix(".py").exists() or (module / "__init__.py").exists():
            return _has(importlib.import_module(".".join(parts[:length])), parts[length:])
    return False


def _has(found: object, names: list[str]) -> bool:
    for name in names:
        if not hasattr(found, name):
            return name in getattr(found, "__annotations__", {}) and name == names[-1]
        found = getattr(found, name)
    return True


def _is_model_or_right(parts: list[str]) -> bool:
    if len(parts) != 2 or parts[0] not in apps.app_configs:
        return False
    models = list(apps.get_app_config(parts[0]).get_models(include_auto_created=True))
    named = {model._meta.object_name for model in models} | {model._meta.model_name for model in models}
    rights = {f"{verb}_{model._meta.model_name}" for model in models for verb in model._meta.default_permissions}
    rights |= {codename for model in models for codename, _ in model._meta.permissions}
    return parts[1] in named | rights


def missing_in(prose: str, beside: Path) -> set[str]:
    """Cited paths and names that do not exist."""
    cited = set(quoted_words(prose))
    paths = {word.partition("::")[0] for word in cited if PATH.fullmatch(word.partition("::")[0])}
    paths |= {found.rstrip(".") for found in BARE_PATH.findall(prose) if "." in Path(found).name.rstrip(".")}
    paths |= {found.rstrip(".") for found in re.findall(r"docs/adr/\d{4}\b", prose) if f"{found}-" not in prose}
    paths |= set(PAGE.findall(prose))
    names = {word for word in cited if DOTTED.fullmatch(word) and not is_installed(word, beside)}
    return {path for path in paths if not is_installed(path, beside)} | {name for name in names if not resolves(name)}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [each for each in PAGES if each not in HISTORY], ids=named)
def test_what_a_page_cites_exists(page: Path) -> None:
    prose = LINK.sub("]", FENCE.sub("", page.read_text()))
    assert missing_in(prose, page) - set(EXAMPLES) == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(FENCE.sub("", page.read_text()))
    local = [each for each in targets if not re.match(r"[a-z]+:|/", each)]
    for target in local:
        file, _, anchor = target.partition("#")
        found = (page.parent / file) if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    """Anchors of the headings: lower case, hyphens for spaces, without punctuation."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M))


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_what_a_docstring_or_comment_cites_exists(source: Path) -> None:
    assert missing_in(prose_of(source.read_text()), source) - set(EXAMPLES) == set()


def missing_sections(prose: str) -> set[tuple[str, str]]:
    """Cited sections of the contracts' pages that are no headings there."""
    cited = {(page, " ".join(section.split())) for page, section in SECTION.findall(prose)}
    return {(page, section) for page, section in cited if section not in headings(ROOT / page)}


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_the_section_of_a_contract_that_a_docstring_cites_is_a_heading(source: Path) -> None:
    assert missing_sections(prose_of(source.read_text())) == set()


@pytest.mark.parametrize("source", CITING, ids=named)
def test_a_module_of_a_contract_cites_a_section_of_its_page(source: Path) -> None:
    pages = {page for page, _ in SECTION.findall(prose_of(source.read_text()))}
    assert f"docs/contracts/{source.parent.name}.md" in pages


def test_the_search_finds_missing_sections() -> None:
    page = "docs/contracts/registry.md"
    assert missing_sections(f"as in {page}, Order of\n    checks; ({page}, Open points)") == set()
    assert missing_sections(f"({page}, Order of things).") == {(page, "Order of things")}


@pytest.mark.parametrize(
    "text",
    [
        "`clients.models.Nobody`",
        "`tokens.no_such_module`",
        "`clients.Nobody`",
        "see reliability.md",
        "`docs/no.md`",
        "(docs/adr/9999)",
        "tests/test_nothing.py",
    ],
)
def test_the_search_finds_missing_citations(text: str) -> None:
    assert missing_in(text, ROOT / "README.md")


@pytest.mark.parametrize(
    "text",
    [
        "`clients.models.Partner`",
        "`clients.Applicant`",
        "`messaging.sweep`",
        "`tokens.forgive_often`",
        "`messaging.gateways.base.Receipt.provider_id`",
        "`docs/operator.md`",
        "(docs/adr/0001)",
        "`config/webserver/`",
        "`tests/test_papers.py::test_the_search_has_no_false_findings`",
        "`campaign.tested`",
        "`3.11`",
    ],
)
def test_the_search_has_no_false_findings(text: str) -> None:
    assert missing_in(text, ROOT / "README.md") == set()


def test_the_index_of_the_decisions_is_what_they_say() -> None:
    folder = ROOT / "docs" / "adr"
    rows = []
    for number, path in enumerate(sorted(folder.glob("0*.md")), 1):
        text = path.read_text()
        title, date, status = (
            re.search(pattern, text, re.M)[1]
            for pattern in (rf"\A# {number}\. (.+)$", r"^Date: (\d{4}-\d\d-\d\d)$", r"^Status: (.+)$")
        )
        assert status == "accepted" or re.fullmatch(r"superseded by \d{4}", status), path.name
        rows.append(f"| [{number:04d}]({path.name}) | {title} | {date} | {status} |")
    assert re.findall(r"^\| \[.+$", (folder / "README.md").read_text(), re.M) == rows
