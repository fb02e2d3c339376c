"""Finding an external client by whatever an agent has in front of him, each by an index of its own."""

import re
import unicodedata
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.search import SearchQueryField
from django.db import models
from django.db.models import BooleanField, F, Func, Value
from django.db.models.functions import Cast

from clients.identity.names import normalised

_WORD = re.compile(r"[^\W_]+")
_PHONE = re.compile(r"[0-9 +()-]*")
_WORDS_AT_MOST = 10
_LONGEST_WORD = 200
"""Characters; PostgreSQL refuses a word of more than 2,046 bytes."""


def folded(text: str) -> str:
    """Its words in upper case without accents, one space between them: `Muñoz-Nájar` -> `MUNOZ NAJAR`."""
    letters = unicodedata.normalize("NFD", text.upper())
    return " ".join(_WORD.findall("".join(each for each in letters if not unicodedata.combining(each))))


class ExternalClients(models.QuerySet[Any]):
    """The external clients, as a set of rows."""

    def found_by(self, term: str) -> Self:
        """Those whose CUI, `client_id` or id this is, whose phone has these digits, or whose names these words begin.

        Case and accents do not matter in a name, nor the order of its words; CUI, phone and ids are exact. One branch
        for each index, joined by UNION: an OR would leave it to the planner whether to read the table instead.
        """
        text = normalised(term)
        if not text:
            return self
        everybody = self.model._default_manager.values_list("pk")
        branches = [everybody.filter(client_id=text), everybody.filter(cui=text)]
        with suppress(ValueError):
            branches.append(everybody.filter(pk=UUID(text)))
        digits = re.sub("[^0-9]", "", text)
        is_number = bool(digits) and _PHONE.fullmatch(text) is not None
        if is_number:
            branches.append(everybody.filter(phone_digits=digits))
        words = folded(text).split()[:_WORDS_AT_MOST]
        if words and not is_number:  # a number begins nobody's name, and PostgreSQL would expect that it does
            branches.append(everybody.filter(_names_begin_with(words)))
        return self.filter(pk__in=branches[0].union(*branches[1:]))


def _names_begin_with(words: list[str]) -> Func:
    """Each of the words begins one of the client's. They hold letters and digits only, so quoting is safe."""
    query = " & ".join(f"'{word[:_LONGEST_WORD]}':*" for word in words)
    return Func(
        F("name_words"),
        Cast(Value(query), SearchQueryField()),
        template="(%(expressions)s)",
        arg_joiner=" @@ ",
        output_field=BooleanField(),
    )
