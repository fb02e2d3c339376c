"""Names of persons: one spelling of each, and what a name may be made of.

Letters are those of Latin-1 and Latin Extended-A, which covers Spanish, Quechua and Aymara spellings and the European
surnames of Peru. A name with characters beyond them is more often an attempt to smuggle markup, direction marks or
look-alikes into a page or a message than a person.
"""

import re
import unicodedata

_LETTERS = "A-Za-zÀ-ÖØ-öø-ÿ\u0100-\u017f"  # without × and ÷, which sit among the letters of Latin-1

_NAME = re.compile(rf"[{_LETTERS}]+(?:(?:[ '’-]|\. ?)[{_LETTERS}]+)*\.?")
"""Runs of letters; between two of them one space, apostrophe or hyphen, or a dot that a space may follow; a dot may
end it. Each separator is one character of its own, so that matching is linear."""

_NO_LETTERS = frozenset("ªºµ")
"""Letters to Unicode, below U+017F, and not among ours."""

_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
"""What Unicode calls space separators. Tabs and line breaks are not among them: inside a name they are refused."""


def normalised(text: str) -> str:
    """NFC, trimmed, runs of spaces made one plain space."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text).strip())


def name_ok(name: str) -> bool:
    """Whether a normalised text can be a person's name. Its length is the contract's business."""
    letters = name.replace(" ", "")
    if letters.isalpha() and max(letters) <= "\u017f" and not _NO_LETTERS.intersection(letters):
        return "  " not in name and name.strip() == name  # an everyday name, in a third of the time
    return _NAME.fullmatch(name) is not None
