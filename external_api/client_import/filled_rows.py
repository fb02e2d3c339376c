"""What every reader of a file yields: its filled lines, cell by cell."""

from dataclasses import dataclass, field

MAX_CELL_LENGTH = 300
"""Characters read of a cell: more than any rule allows, so that a longer one is invalid all the same."""


@dataclass(slots=True)
class FilledRow:
    """A line with at least one filled cell, and its number as Excel shows it."""

    number: int
    cells: dict[int, str]
    """Texts of the filled cells by column, the first is 0."""
    faults: dict[int, str] = field(default_factory=dict)
    """Why a cell's text is not what its sheet shows, in Spanish."""
    numeric: frozenset[int] = frozenset()
    """Columns whose cell is a number, not text."""
    is_hidden: bool = False


def column_name(index: int) -> str:
    """0 -> A, 26 -> AA."""
    letters = ""
    index += 1
    while index:
        index, last = divmod(index - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters
