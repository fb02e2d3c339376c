"""Anchors of headings, as GitHub makes them: links between chapters work there and here."""

import unicodedata


class Anchors:
    """Anchors of one page, each once: a second heading of the same words ends in `-1`, as at GitHub."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, heading: str) -> str:
        wanted = "".join("-" if each == " " else each for each in heading.lower() if _is_kept(each))
        anchor, number = wanted, 0
        while anchor in self._taken:
            number += 1
            anchor = f"{wanted}-{number}"
        self._taken.add(anchor)
        return anchor


def _is_kept(character: str) -> bool:
    """Letters with their marks, digits, `_`, `-` and the space stay; all else is left out."""
    category = unicodedata.category(character)
    return character in "- " or category[0] in "LM" or category in ("Nd", "Pc")
