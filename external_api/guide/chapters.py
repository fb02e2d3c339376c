"""Chapters of the guide: read and rendered once a process, as its files do not change while it runs."""

import logging
import posixpath
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from django.conf import settings
from django.urls import is_valid_path, reverse

from external_api.guide.markdown import Heading, render

INDEX = "README"
PLACE = "/docs/guia"
"""Folder of the chapters in the repository, as their links see it."""
log = logging.getLogger("aval.guide")


@dataclass(frozen=True)
class Chapter:
    """A page of the guide. `name` is its file's without the ending; that of the index is README. `heading` and
    `text` are HTML."""

    name: str
    url: str
    title: str
    heading: str
    text: str
    sections: tuple[Heading, ...]


def chapters() -> dict[str, Chapter]:
    """Chapters by name, the index first, the others in their order; none where the guide is not installed."""
    return _rendered(settings.GUIDE_FOLDER, settings.PUBLIC_URL)


@cache
def _rendered(folder: Path, public_url: str) -> dict[str, Chapter]:
    paths = {path.stem: path for path in sorted(folder.glob("*.md"), key=_place)}
    if INDEX not in paths:
        log.warning("the partners' guide is not installed", extra={"folder": str(folder)})
        return {}
    resolve = partial(url_of_path, frozenset(paths))
    found = {}
    for name, path in paths.items():
        page = render(path.read_text(encoding="utf-8"), resolve=resolve, public_url=public_url)
        title = next((each.text for each in page.headings if each.level == 1), name)
        sections = tuple(each for each in page.headings if each.level == 2)
        heading, end, text = page.html.partition("</h1>\n")
        parts = (heading + end, text) if end else ("", page.html)
        found[name] = Chapter(name, url_of(name), title, *parts, sections)
    return found


def url_of(name: str) -> str:
    return reverse("guide") if name == INDEX else reverse("guide_chapter", args=[name])


def url_of_path(names: frozenset[str], path: str) -> str | None:
    """URL that serves what a chapter links to: another chapter, or a page of this server such as /referencia/."""
    folder, file = posixpath.split(posixpath.normpath(posixpath.join(PLACE, path)))
    name = file.removesuffix(".md")
    if folder == PLACE and file.endswith(".md") and name in names:
        return url_of(name)
    return path if path.startswith("/") and is_valid_path(path) else None


def _place(path: Path) -> tuple[bool, int, str]:
    """README, then the chapters by number: the tenth after the ninth."""
    number = path.stem.partition("-")[0]
    return path.stem != INDEX, int(number) if number.isdecimal() else 0, path.stem
