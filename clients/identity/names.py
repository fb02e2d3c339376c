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


_MANY_MARKS = re.compile(r"[^\w\s]{31,}")
"""Where a long run of combining marks can be: no mark is a letter, a digit or a space."""
_MARKS_IN_A_ROW = 30
_JOINER = "\u034f"


def nfc(text: str) -> str:
    """The text in NFC, in linear time.

    Composing sorts each run of combining marks, and Python's sort of them is quadratic: a megabyte of them would hold
    a thread for a quarter of an hour. So runs over 30 are broken up first, as UAX #15 (D4, Stream-Safe Text) says; no
    language writes more than six.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MANY_MARKS.sub(_broken_up, text))


def is_nfc(text: str) -> bool:
    """Whether `nfc` returns it unchanged."""
    return text.isascii() or (_MANY_MARKS.search(text) is None and unicodedata.is_normalized("NFC", text))


def _broken_up(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MARKS_IN_A_ROW:
            kept.append(_JOINER)
            marks = 1
        kept.append(character)
    return "".join(kept)


def normalised(text: str) -> str:
    """NFC, trimmed, runs of spaces made one plain space."""
    return _SPACES.sub(" ", nfc(text).strip())


def name_ok(name: str) -> bool:
    """Whether a normalised text can be a person's name. Its length is the contract's business."""
    letters = name.replace(" ", "")
    if letters.isalpha() and max(letters) <= "\u017f" and not _NO_LETTERS.intersection(letters):
        return "  " not in name and name.strip() == name  # an everyday name, in a third of the time
    return _NAME.fullmatch(name) is not None
