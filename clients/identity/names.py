"""Personal names: normalisation and allowed characters.

Letters are those of Latin-1 and Latin Extended-A, which covers Spanish, Quechua and Aymara spellings and the European
surnames of Peru. Other characters are more often an attempt to smuggle in markup, direction marks or look-alikes than a
name.
"""

import re
import unicodedata

_LETTERS = "A-Za-zÀ-ÖØ-öø-ÿ\u0100-\u017f"  # without × and ÷, which are between the letters of Latin-1

NAME_PATTERN = re.compile(rf"[{_LETTERS}]+(?:(?:[ '’-]|\. ?)[{_LETTERS}]+)*\.?")
"""Runs of letters, separated by one space, apostrophe or hyphen, or by a dot that a space may follow. A dot may end the
name. Each separator is a character of its own, so that matching is linear."""

_NO_LETTERS = frozenset("ªºµ")
"""Characters below U+017F that are letters in Unicode but not in a name."""

_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
"""Space separators of Unicode. Tabs and line breaks are not among them: they are refused."""


_MANY_MARKS = re.compile(r"[^\w\s]{31,}")
"""Pattern for a long run of combining marks: a mark is no letter, digit or space."""
_NO_MARKS = re.compile("[\0-\u02ff]*")
"""Characters below the first combining mark. None of them composes with another, so that text of them is NFC."""
_MARKS_IN_A_ROW = 30
_JOINER = "\u034f"


def nfc(text: str) -> str:
    """NFC in linear time.

    Composing sorts each run of combining marks, and Python's sort of them is quadratic: a megabyte of marks would block
    a thread for a quarter of an hour. Runs over 30 are therefore broken up first (UAX #15, D4, Stream-Safe Text). No
    language writes more than six.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MANY_MARKS.sub(_broken_up, text))


def is_nfc(text: str) -> bool:
    if text.isascii() or _NO_MARKS.fullmatch(text) is not None:
        return True
    return _MANY_MARKS.search(text) is None and unicodedata.is_normalized("NFC", text)


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
    """NFC, trimmed, with runs of spaces reduced to one plain space."""
    return _SPACES.sub(" ", nfc(text).strip())


def name_ok(name: str) -> bool:
    """Whether a normalised text can be a personal name. Its length is up to the contract."""
    letters = name.replace(" ", "")
    if letters.isalpha() and max(letters) <= "\u017f" and not _NO_LETTERS.intersection(letters):
        return "  " not in name and name.strip() == name  # an everyday name, in a third of the time
    return NAME_PATTERN.fullmatch(name) is not None
