"""Personal names: normalisation and allowed characters.

Letters are those of Latin-1 and Latin Extended-A, which covers Spanish and the European surnames of Peru, and those of
the alphabets of the indigenous languages of Peru and Guatemala, in which registers write names: nasal vowels (Ẽ), Ɨ of
Bora and Murui, letters that exist only with a combining mark (G̃, P̃ of Yanesha, N̈ of Popti). Other characters are more
often an attempt to smuggle in markup, direction marks or look-alikes than a name
(docs/adr/0083-names-as-keyboards-write-them.md).
"""

import re
import unicodedata

_LETTERS = (
    "A-Za-zÀ-ÖØ-öø-ÿ\u0100-\u017f"  # without × and ÷, which are between the letters of Latin-1
    "\u0197\u0268\u0244\u0289"  # barred I and U
    "\u01cd-\u01dc\u01de-\u01e3\u01e6-\u01ed\u01f0\u01f4\u01f5\u01f8-\u021b\u021e\u021f\u0226-\u0233"
    "\u1e00-\u1e99\u1ea0-\u1ef9"  # letters with one or two marks
)
_MARKS = "\u0300-\u0304\u0306-\u0308\u030a\u030c\u0323\u0327\u0328\u0330-\u0332"
"""Accents, diaeresis, ring and caron; dot, cedilla, ogonek, tilde and line below."""

NAME_PATTERN = re.compile(rf"[{_LETTERS}]+(?:(?:[ '-]|\. ?)[{_LETTERS}]+)*\.?")
"""Runs of letters, separated by one space, apostrophe or hyphen, or by a dot that a space may follow. A dot may end the
name. Each separator is a character of its own, so that matching is linear. Names of these characters need no other
spelling (`spelled`)."""

_LETTER = f"[{_LETTERS}][{_MARKS}]{{0,2}}"
_NAME = re.compile(rf"(?:{_LETTER})+(?:(?:[ '’-]|\. ?)(?:{_LETTER})+)*\.?")
"""The same with letters that have marks of their own, and with the apostrophe of Word, in which names were stored
before."""

_NO_LETTERS = frozenset("ªºµ")
"""Characters below U+017F that are letters in Unicode but not in a name."""

_AS_TYPED = str.maketrans(
    {
        **dict.fromkeys(
            "\u00b4`\u2018\u2019\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb", "'"
        ),
        **dict.fromkeys("\u05f3\ua78b\ua78c\uff07\uff40\u1fbd\u1fbf\u1ffe\u0384\u275b\u275c", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7\u2043\u207b\ufe58\ufe63\uff0d", "-"),
        "\u00ad": None,  # where Word may break the word
    }
)
"""Apostrophes and hyphens of keyboards, of Word's automatic correction, and of alphabets with a glottal stop."""
_LONE_HYPHEN = re.compile("^-+ | -+$")
"""Hyphen that stands for a name that somebody does not have."""
_LOOSE_HYPHEN = re.compile(" ?- ?")
_ELIDED = re.compile(rf"(?<![{_LETTERS}])([DLMNO]|Dell)' (?=[{_LETTERS}])", re.I)
"""D' ANGELO. After a longer word an apostrophe may be its last letter, a glottal stop."""

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


def spelled(name: str) -> str:
    """A normalised name with the apostrophe and the hyphen of ASCII, however they were typed: `D´ANGELO`,
    `QUISPE – HUAMÁN` -> `D'ANGELO`, `QUISPE-HUAMÁN`. A hyphen that stands for a missing name is left out."""
    if NAME_PATTERN.fullmatch(name):
        return name
    name = name.translate(_AS_TYPED)
    name = _LONE_HYPHEN.sub("", name) if " -" in name or name.startswith("-") else name
    return _ELIDED.sub(r"\1'", _LOOSE_HYPHEN.sub("-", name))


def is_dash(name: str) -> bool:
    """Whether a text is what people put where they have no name: hyphens and dots only."""
    return not name.translate(_AS_TYPED).strip("-. ")


def name_ok(name: str) -> bool:
    """Whether a normalised text can be a personal name. Its length is up to the contract."""
    letters = name.replace(" ", "")
    if letters.isalpha() and max(letters) <= "\u017f" and not _NO_LETTERS.intersection(letters):
        return "  " not in name and name.strip() == name  # an everyday name, in a third of the time
    return _NAME.fullmatch(name) is not None and is_nfc(name)
