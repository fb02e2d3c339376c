"""Markdown of the guide to HTML: CommonMark and tables, by markdown-it-py. Raw HTML is shown as text."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from external_api.guide.anchors import Anchors

SCROLLS = 'tabindex="0" role="group"'
"""For boxes that scroll sideways: whoever has only a keyboard reaches them."""
_ALIGNED = re.compile(r"text-align:\s*(left|center|right)")

Resolve = Callable[[str], str | None]
"""URL that serves a path of the repository, written as in a link of the guide; None where none does."""


class Heading(NamedTuple):
    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Rendered:
    html: str
    headings: tuple[Heading, ...]


class Renderer(RendererHTML):
    """Renderer for pages whose policy allows neither inline styles nor pictures of other hosts."""

    def table_open(self, *_: Any) -> str:
        return f'<div class="table" {SCROLLS} aria-label="Tabla">\n<table>\n'

    def table_close(self, *_: Any) -> str:
        return "</table>\n</div>\n"

    def fence(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return self.code_block(tokens, index)

    def code_block(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return f'<pre {SCROLLS} aria-label="Ejemplo"><code>{escapeHtml(tokens[index].content)}</code></pre>\n'

    def image(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return escapeHtml(tokens[index].content)


def render(text: str, *, resolve: Resolve, public_url: str) -> Rendered:
    """Render a chapter. In its examples the shell variable URL is set to `public_url`."""
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=Renderer).enable("table")
    tokens = markdown.parse(text)
    headings = tuple(_anchored(tokens))
    for token in tokens:
        _without_style(token)
        if token.type in ("fence", "code_block"):
            token.content = _with_url(token.content, public_url)
        if token.children:
            _relink(token.children, resolve)
    return Rendered(markdown.renderer.render(tokens, markdown.options, {}), headings)


def _anchored(tokens: Sequence[Token]) -> Iterator[Heading]:
    """Give each heading its anchor."""
    anchors = Anchors()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            parts = tokens[number + 1].children or []
            text = "".join(part.content for part in parts if part.type in ("text", "text_special", "code_inline"))
            anchor = anchors.of(text)
            token.attrSet("id", anchor)
            yield Heading(int(token.tag[1:]), text, anchor)


def _without_style(token: Token) -> None:
    """A column's alignment as a class: the policy of pages allows no inline styles."""
    aligned = _ALIGNED.fullmatch(str(token.attrs.pop("style", "")))
    if aligned:
        token.attrJoin("class", f"to-{aligned[1]}")


def _with_url(code: str, public_url: str) -> str:
    return re.sub(r"^export URL=\S+$", lambda _: f"export URL={public_url}", code, flags=re.M)


def _relink(parts: Sequence[Token], resolve: Resolve) -> None:
    """Point links at the pages that are served. A link to another place of the repository becomes its text alone."""
    links: list[bool] = []
    for part in parts:
        if part.type == "link_open":
            url = _served(str(part.attrs["href"]), resolve)
            links.append(url is not None)
            if url is not None:
                part.attrSet("href", url)
        dead = part.type in ("link_open", "link_close") and not links[-1]
        if part.type == "link_close":
            links.pop()
        if dead:
            part.type, part.tag, part.nesting, part.content = "text", "", 0, ""


def _served(href: str, resolve: Resolve) -> str | None:
    parts = urlsplit(href)
    if parts.scheme or parts.netloc or not parts.path:
        return href
    page = resolve(unquote(parts.path))
    if page is None:
        return None
    return f"{page}#{parts.fragment}" if parts.fragment else page
