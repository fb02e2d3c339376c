"""HTML page of a campaign's mail: the frame around a typed fragment, and the place where a footer is visible."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from django.template.loader import render_to_string

_VOID = frozenset(
    {"area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link"}
    | {"meta", "param", "source", "track", "wbr"}
)
_OPTIONAL_END = frozenset(
    {"p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot", "caption", "colgroup", "option", "optgroup"}
    | {"rt", "rp"}
)
"""Elements that the end of their parent closes, and so any end tag outside them."""
_TEXT_ONLY = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext"})
"""Elements in which a tag is text (WHATWG HTML, section 13.2.5)."""
_NOT_SHOWN = frozenset({"template", "noscript", "select", "svg", "math", "object", "head"})
"""Elements in which an end tag of the body is ignored, or what stands there is not shown."""
_COMMENT_END = re.compile(r"--!?>")


@dataclass(frozen=True)
class _Place:
    """Position in a page, and the elements that are open there."""

    offset: int
    open: tuple[str, ...]

    @property
    def closing(self) -> str:
        return "".join(f"</{tag}>" for tag in reversed(self.open) if tag not in _OPTIONAL_END)


class _Reader(HTMLParser):
    """Reads a page for the place where its body ends. `unclosed`: the comment, tag or element that the page ends in."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self._lines = [0, *(found.end() for found in re.finditer("\n", page))]
        self._open: list[tuple[str, int]] = []
        self.is_document = False
        self.body_end: _Place | None = None
        self.document_end: _Place | None = None
        self.feed(page)
        rest = self.rawdata
        inside = next(((tag, at) for tag, at in self._open if tag in _TEXT_ONLY), None)
        self.unclosed = f"<{inside[0]}>" if inside else "<!--" if rest.startswith("<!--") else rest[:1].strip("&\n ")
        self.end = _Place(len(page) - (len(rest) if rest.startswith("<") else 0), self._tags())
        if inside is not None:
            tags = tuple(tag for tag, at in self._open if at < inside[1])
            self.end = _Place(inside[1], tags)

    @property
    def place(self) -> _Place:
        return self.body_end or self.document_end or self.end

    def handle_decl(self, decl: str) -> None:
        self.is_document |= decl.lower().startswith("doctype")

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self._is_text():
            return
        self.is_document |= tag in ("html", "body")
        if tag in ("body", "html"):
            self._open = [each for each in self._open if each[0] != "head"]
        elif tag not in _VOID:
            self._open.append((tag, self._offset()))

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """`<div/>` is a start tag in HTML; in SVG and MathML it has no content."""
        if not any(open_tag in ("svg", "math") for open_tag, _ in self._open):
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._is_text() and tag != self._open[-1][0]:
            return
        if tag in ("body", "html"):
            if not any(open_tag in _NOT_SHOWN for open_tag, _ in self._open):
                place = _Place(self._offset(), self._tags())
                self.body_end, self.document_end = (
                    (place, self.document_end) if tag == "body" else (self.body_end, place)
                )
        elif tag in self._tags():
            while self._open.pop()[0] != tag:
                pass

    def parse_comment(self, i: int, report: bool = True) -> int:
        """The end of a comment as browsers find it: `<!-->` is a whole one, and `--!>` ends one, too."""
        for whole in ("<!-->", "<!--->"):
            if self.rawdata.startswith(whole, i):
                return i + len(whole)
        found = _COMMENT_END.search(self.rawdata, i + 4)
        return found.end() if found else -1

    def _is_text(self) -> bool:
        return bool(self._open) and self._open[-1][0] in _TEXT_ONLY

    def _tags(self) -> tuple[str, ...]:
        return tuple(tag for tag, _ in self._open)

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column


def framed(typed: str, *, title: str) -> str:
    """The typed HTML as a page with language, title and viewport; unchanged if it is a whole page already.

    `title` is HTML.
    """
    if _Reader(typed).is_document:
        return typed
    return render_to_string("messages/marco.html", {"title": title, "content": typed})


def with_footer(page: str, footer: str) -> str:
    """The page with the footer as the last thing in its visible body.

    Not in a comment (Outlook's conditional ones are comments), a script, a style or a template, and behind every
    element that is still open, which might be hidden.
    """
    place = _Reader(page).place
    return f"{page[: place.offset]}{place.closing}{footer}{page[place.offset :]}"


def unclosed_in(typed: str) -> str:
    """What the typed HTML ends in without an end: `<!--`, `<style>`, `<` for a tag. Empty: nothing."""
    return _Reader(typed).unclosed
