"""Finding people by what an agent has in front of him, without holding up how they come in.

Applicants come one by one: a GIN index over an expression holds the words of their names. The expression has no
parameters, or a prepared statement would never use the index. Authorised clients come ten thousand in a statement, and
any index of their names would double what that takes: by document, telephone and code they are found by a BRIN index
of Bloom filters, which costs an insert nothing measurable, and by name by reading the table.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.search import SearchQueryField
from django.db import connection, transaction
from django.db.models import BooleanField, Func, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from clients.search.external_clients import folded

AT_MOST = 1_000
"""Ids one question yields: of a name that everybody shares nobody wants all."""
WORDS_AT_MOST = 10
_LONGEST = 200
"""Characters of a term; PostgreSQL refuses one of more than 2,046 bytes."""
_BETWEEN_WORDS = ".,'’_-"
_SMALL_OR_ACCENTED = [chr(code) for code in (*range(0x61, 0x7B), *range(0xC0, 0x180))]


def _folding() -> tuple[str, str]:
    """What `translate` takes to do as `folded` does: each letter of a name and the capital without accents it becomes.
    One that becomes two (ß) stays as it is."""
    become = {letter: folded(letter) for letter in _SMALL_OR_ACCENTED}
    pairs = [(letter, plain) for letter, plain in become.items() if len(plain) == 1 and plain != letter]
    pairs += [(mark, " ") for mark in _BETWEEN_WORDS]
    return "".join(letter for letter, _ in pairs), "".join(plain for _, plain in pairs)


def _spellings() -> dict[str, str]:
    """Of each capital without accents, a regular expression of all the letters of a name that become it."""
    found: dict[str, str] = {}
    for letter in _SMALL_OR_ACCENTED:
        plain = folded(letter)
        if len(plain) == 1:
            found[plain] = found.get(plain, plain) + letter
    return {plain: f"[{letters}]" for plain, letters in found.items()}


_SPELT = str.maketrans(_spellings())
_BEGINS = "(^|[ .,'’_-])"
_LETTERS, _PLAIN = (each.replace("'", "''") for each in _folding())


class Words(Func):
    """A `tsvector` of the words in some columns. An index is made over it: whoever changes it makes the index anew."""

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[str | int, ...]]:
        columns = " || ' ' || ".join(compiler.compile(each)[0] for each in self.source_expressions)  # no parameters
        words = f"string_to_array(translate({columns}, '{_LETTERS}', '{_PLAIN}'), ' ')"
        return f"array_to_tsvector(array_remove({words}, ''))", ()


NAMES_OF_AN_APPLICANT = Words("names", "paternal_surname", "maternal_surname", output_field=TextField())


def with_names(text: str) -> Func | None:
    """Applicants: each word of the text begins one of their names, whatever its case and accents, in any order. None
    where the text has no words."""
    words = _words(text)
    if not words:
        return None
    query = " & ".join(_asked(word) for word in words)  # letters and digits only, so quoting is safe
    return Func(
        NAMES_OF_AN_APPLICANT.copy(),
        Cast(Value(query), SearchQueryField()),
        template="(%(expressions)s)",
        arg_joiner=" @@ ",
        output_field=BooleanField(),
    )


def authorized_with_names(rows: QuerySet[Any], text: str) -> list[Any]:
    """Ids of authorised clients, likewise: PostgreSQL looks for words that begin so in any spelling, and what it finds
    is compared here. It must find few that do not compare, for it looks no further than AT_MOST."""
    words = _words(text)
    if not words:
        return []
    near = Q()
    for word in words:
        near &= Q(name__regex=_BEGINS + _with_sharp_s(word).translate(_SPELT))  # letters and digits in it, no signs
    found = rows.filter(near).order_by().values_list("pk", "name")[:AT_MOST]
    return [pk for pk, name in found if _begin(words, folded(name).split())]


def _asked(word: str) -> str:
    """As a tsquery. The index has ß as it stands, and who types it asks for SS."""
    return f"('{word}':* | '{word.replace('SS', 'ß')}':*)" if "SS" in word else f"'{word}':*"


def _with_sharp_s(word: str) -> str:
    return word.replace("SS", "(SS|ß)")


def _begin(words: Sequence[str], names: Sequence[str]) -> bool:
    return all(any(name.startswith(word) for name in names) for word in words)


def _words(text: str) -> list[str]:
    return [word[:_LONGEST] for word in folded(text).split()[:WORDS_AT_MOST]]


def ids(rows: QuerySet[Any], condition: Func) -> list[Any]:
    """The primary keys of AT_MOST rows for which it holds, in no order, by the index however common a word is.

    Left to itself the planner may hope to meet AT_MOST of a common word soon and read the table from its beginning,
    folding every name on the way; of a rare one it then reads all.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        found = list(rows.filter(condition).order_by().values_list("pk", flat=True)[:AT_MOST])
        with connection.cursor() as cursor:  # where the caller has a transaction of his own
            cursor.execute("SET LOCAL enable_seqscan = on")
    return found
