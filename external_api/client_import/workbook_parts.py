"""Parts of an XLSX besides its sheets: which sheets there are, their texts, their number formats.

Names of elements are compared without their namespace, so that Strict Open XML, which has other namespaces, reads like
the usual form. Document types are refused: they define entities, which unfold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

from external_api.client_import.filled_rows import MAX_CELL_LENGTH
from external_api.client_import.limits import (
    MAX_ELEMENTS,
    MAX_SHEETS,
    MAX_SMALL_BYTES,
    MAX_STYLES,
    MAX_TEXT_BYTES,
    MAX_TEXTS,
    TOO_BIG,
    BoundedZip,
    Damaged,
    WrongFile,
)
from external_api.client_import.number_formats import GENERAL, format_of

WORKBOOK = "xl/workbook.xml"


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    part: str
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Book:
    """Sheets in the order of their tabs, the shared texts, and the number format of each cell style."""

    sheets: list[Sheet]
    texts: list[str]
    formats: list[str]


def book_of(parts: BoundedZip) -> Book:
    """Raises Damaged and WrongFile."""
    workbook = _target_of_type(_relations(parts, ""), "/officeDocument") or WORKBOOK
    relations = _relations(parts, workbook)
    texts = _target_of_type(relations, "/sharedStrings") or "xl/sharedStrings.xml"
    styles = _target_of_type(relations, "/styles") or "xl/styles.xml"
    return Book(
        _sheets(parts, workbook, relations),
        shared_texts(parts, texts) if texts in parts else [],
        _formats(parts, styles) if styles in parts else [],
    )


def parse(pieces: Iterator[bytes], start: Callable[..., None], end: Callable[..., None], text: Any = None) -> None:
    """Parse a whole part with these handlers. Raises Damaged."""
    for _ in parsing(pieces, start, end, text):
        pass


def parsing(
    pieces: Iterator[bytes], start: Callable[..., None], end: Callable[..., None], text: Any = None
) -> Iterator[None]:
    """Parse a part piece by piece: after each one the caller takes what the handlers have found. Raises Damaged, and
    WrongFile for too many elements."""
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    tags = 0
    try:
        for piece in pieces:
            tags += piece.count(b"<")
            if tags > MAX_ELEMENTS:
                raise WrongFile(TOO_BIG)
            parser.Parse(piece)
            yield
        parser.Parse(b"", True)
    except ExpatError as fault:
        raise Damaged(str(fault)) from None
    yield


def _refuse_doctype(*_: object) -> None:
    raise Damaged("a document type")


def local(name: str) -> str:
    """Name of an element or attribute without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name


# --- relations and sheets ---


def _relations(parts: BoundedZip, of: str) -> dict[str, tuple[str, str]]:
    """Relations of a part: id -> (type, name of the part it leads to). Empty where the file has none."""
    folder, _, name = of.rpartition("/")
    path = f"{folder}/_rels/{name}.rels"
    found: dict[str, tuple[str, str]] = {}
    if path not in parts:
        return found

    def start(tag: str, attributes: dict[str, str]) -> None:
        if local(tag) == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "").replace("\\", "/")
            full = target if target.startswith("/") else f"{folder}/{target}"
            found[attributes.get("Id", "")] = (attributes.get("Type", ""), _without_dots(full))

    parse(parts.pieces(path, at_most=MAX_SMALL_BYTES), start, _nothing)
    return found


def _without_dots(path: str) -> str:
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)


def _target_of_type(relations: dict[str, tuple[str, str]], ending: str) -> str | None:
    return next((target for kind, target in relations.values() if kind.endswith(ending)), None)


def _sheets(parts: BoundedZip, workbook: str, relations: dict[str, tuple[str, str]]) -> list[Sheet]:
    """Sheets with cells: charts and macros are none."""
    found: list[Sheet] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if local(tag) != "sheet":
            return
        relation = next((value for name, value in attributes.items() if ":" in name and local(name) == "id"), "")
        kind, target = relations.get(relation, ("", ""))
        if kind.endswith("/worksheet") and target in parts:
            hidden = attributes.get("state", "visible") != "visible"
            found.append(Sheet(attributes.get("name", "")[:100], target, hidden))
        if len(found) > MAX_SHEETS:
            raise WrongFile(TOO_BIG)

    parse(parts.pieces(workbook, at_most=MAX_SMALL_BYTES), start, _nothing)
    if not found:
        raise Damaged("no sheet")
    return found


def _nothing(*_: object) -> None:
    return None


# --- texts and formats ---


class _Texts:
    """Handlers for the shared texts. Phonetic readings (`rPh`) are not part of a text."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] = []
        self._is_text = self._is_reading = False

    def start(self, tag: str, _: dict[str, str]) -> None:
        name = local(tag)
        if name == "t":
            self._is_text = not self._is_reading
        elif name == "rPh":
            self._is_reading = True
        elif name == "si":
            self._pieces = []
            if len(self.found) == MAX_TEXTS:
                raise WrongFile(TOO_BIG)

    def end(self, tag: str) -> None:
        name = local(tag)
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._is_reading = False
        elif name == "si":
            self.found.append("".join(self._pieces)[:MAX_CELL_LENGTH])

    def text(self, text: str) -> None:
        if self._is_text:
            self._pieces.append(text)


def shared_texts(parts: BoundedZip, name: str) -> list[str]:
    texts = _Texts()
    parse(parts.pieces(name, at_most=MAX_TEXT_BYTES), texts.start, texts.end, texts.text)
    return texts.found


def _formats(parts: BoundedZip, name: str) -> list[str]:
    """Number format of each cell style. Fonts, colours and borders are not read, so a fault in one stops nobody."""
    own: dict[int, str] = {}
    ids: list[int] = []
    inside = {"cellXfs": False}

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = local(tag)
        if element == "numFmt":
            own[whole(attributes.get("numFmtId"))] = attributes.get("formatCode", GENERAL)[:MAX_CELL_LENGTH]
        elif element == "cellXfs":
            inside[element] = True
        elif element == "xf" and inside["cellXfs"] and len(ids) < MAX_STYLES:
            ids.append(whole(attributes.get("numFmtId")))

    def end(tag: str) -> None:
        if local(tag) == "cellXfs":
            inside["cellXfs"] = False

    parse(parts.pieces(name, at_most=MAX_SMALL_BYTES), start, end)
    return [format_of(each, own) for each in ids]


def whole(text: str | None) -> int:
    """A number of the file's own, such as an index; 0 for none. Raises Damaged."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise Damaged("an index that is no number")
    return int(text)
