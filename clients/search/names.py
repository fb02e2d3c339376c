"""Search for people by name, without slowing down inserts.

Applicants come one by one: a GIN index over an expression holds the words of their names. The expression has no
parameters, because a prepared statement would not use the index. Authorised clients come ten thousand in a statement,
and an index on their names would double its time. They are found by document, phone and code with a BRIN index of Bloom
filters, which costs an insert nothing measurable, and by name by reading the table.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.search import SearchQueryField
from django.db import connection, transaction
from django.db.models import BooleanField, Func, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from clients.identity.names import name_ok, nfc
from clients.search.external_clients import folded

MAX_RESULTS = 1_000
"""Most ids of one search. Nobody reads all the people with a common name."""
MAX_WORDS = 10
_LONGEST = 200
"""Characters of a term. PostgreSQL refuses one of more than 2,046 bytes."""
_BETWEEN_WORDS = ".,'’_-"
_SMALL_OR_ACCENTED = [chr(code) for code in (*range(0x61, 0x7B), *range(0xC0, 0x180))]


_RARE = [chr(code) for code in (*range(0x180, 0x250), 0x268, 0x289, *range(0x1E00, 0x1F00)) if name_ok(chr(code))]
"""Letters of names that the index of applicants does not fold."""
_MARKS = "[\u0300-\u0332]*"


def _folding() -> tuple[str, str]:
    """Arguments for `translate` to do what `folded` does: each letter of a name, and its capital without accents. A
    letter that becomes two (ß) stays as it is."""
    become = {letter: folded(letter) for letter in _SMALL_OR_ACCENTED}
    pairs = [(letter, plain) for letter, plain in become.items() if len(plain) == 1 and plain != letter]
    pairs += [(mark, " ") for mark in _BETWEEN_WORDS]
    return "".join(letter for letter, _ in pairs), "".join(plain for _, plain in pairs)


def _spellings() -> dict[str, str]:
    """Regular expression of all spellings, for each capital without accents."""
    found: dict[str, str] = {}
    for letter in (*_SMALL_OR_ACCENTED, *_RARE):
        plain = folded(letter)
        if len(plain) == 1 and letter != plain:
            found[plain] = found.get(plain, plain) + letter
    return {plain: f"[{letters}]{_MARKS}" for plain, letters in found.items()}


_SPELT = str.maketrans(_spellings())
_TYPED_WORD = re.compile("(?:[^\\W_][\u0300-\u036f]*)+")
_BEGINS = "(^|[ .,'’_-])"
_INDEXED = str.maketrans(*_folding())
_LETTERS, _PLAIN = (each.replace("'", "''") for each in _folding())


class Words(Func):
    """`tsvector` of the words in some columns. An index uses this expression: a change needs a new index."""

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[str | int, ...]]:
        columns = " || ' ' || ".join(compiler.compile(each)[0] for each in self.source_expressions)  # no parameters
        words = f"string_to_array(translate({columns}, '{_LETTERS}', '{_PLAIN}'), ' ')"
        return f"array_to_tsvector(array_remove({words}, ''))", ()


NAMES_OF_AN_APPLICANT = Words("names", "paternal_surname", "maternal_surname", output_field=TextField())


def with_names(text: str) -> Func | None:
    """Condition: each word of the text begins one of the applicant's names, whatever its case, accents and order. None
    for a text without words."""
    words = [word[:_LONGEST] for word in _TYPED_WORD.findall(nfc(text))[:MAX_WORDS]]
    if not words:
        return None
    query = " & ".join(_asked(word) for word in words)  # letters, marks and digits only, so quoting is safe
    return Func(
        NAMES_OF_AN_APPLICANT.copy(),
        Cast(Value(query), SearchQueryField()),
        template="(%(expressions)s)",
        arg_joiner=" @@ ",
        output_field=BooleanField(),
    )


def authorized_with_names(rows: QuerySet[Any], text: str) -> list[Any]:
    """Ids of authorised clients with these names. PostgreSQL finds words that begin so in any spelling; the results are
    compared here. Few may fail the comparison, since the search stops at MAX_RESULTS."""
    words = _words(text)
    if not words:
        return []
    near = Q()
    for word in words:
        near &= Q(name__regex=_BEGINS + _with_sharp_s(word).translate(_SPELT))  # letters and digits: no escaping
    found = rows.filter(near).order_by().values_list("pk", "name")[:MAX_RESULTS]
    return [pk for pk, name in found if _begin(words, folded(name).split())]


def _asked(typed: str) -> str:
    """Term as a `tsquery`. The index keeps ß, while a user types SS; and it keeps letters beyond Latin Extended-A with
    their marks, so a word with such a letter is also asked for as it was typed."""
    plain = folded(typed)
    words = {plain: None, plain.replace("SS", "ß"): None}
    words |= dict.fromkeys(each.translate(_INDEXED) for each in (typed.upper(), typed.lower(), typed.capitalize()))
    return "(" + " | ".join(f"'{word}':*" for word in words) + ")"


def _with_sharp_s(word: str) -> str:
    return word.replace("SS", "(SS|ß)")


def _begin(words: Sequence[str], names: Sequence[str]) -> bool:
    return all(any(name.startswith(word) for name in names) for word in words)


def _words(text: str) -> list[str]:
    return [word[:_LONGEST] for word in folded(text).split()[:MAX_WORDS]]


def ids(rows: QuerySet[Any], condition: Func) -> list[Any]:
    """Primary keys of at most MAX_RESULTS matching rows, in no order, always by the index.

    For a common word the planner may expect MAX_RESULTS matches soon and read the table from its beginning, folding
    every name; for a rare one it then reads all of it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        found = list(rows.filter(condition).order_by().values_list("pk", flat=True)[:MAX_RESULTS])
        with connection.cursor() as cursor:  # the caller's transaction, if there is one, goes on
            cursor.execute("SET LOCAL enable_seqscan = on")
    return found
