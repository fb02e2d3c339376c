"""Placeholders in a campaign's texts: `{{nombre}}`, or `{{nombre|cliente}}` with a word for clients without a name."""

import html
import re

_ANY = re.compile(r"\{\{\s*([^{}|]*?)\s*(?:\|\s*([^{}]*?)\s*)?\}\}")
KNOWN = frozenset({"nombre"})


def unknown_in(*texts: str) -> list[str]:
    """Names in double braces that mean nothing, in the order of their appearance."""
    names = (found[1] for text in texts for found in _ANY.finditer(text))
    return list(dict.fromkeys(name for name in names if name.lower() not in KNOWN))


def has_name(*texts: str) -> bool:
    return any(found[1].lower() in KNOWN for text in texts for found in _ANY.finditer(text))


def fill(text: str, name: str) -> str:
    """The text with the client's name, or with each fallback if there is none. The name is put in as it is."""
    return _ANY.sub(lambda found: (name or found[2] or "") if found[1].lower() in KNOWN else found[0], text)


def fill_html(page: str, name: str) -> str:
    """The same in HTML: the name is escaped; a fallback is the author's own HTML."""
    return fill(page, html.escape(name))


def printable(name: str) -> str:
    """A name without line breaks and control characters, which could begin a header in a subject."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())
