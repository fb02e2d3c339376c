"""Search for external clients by any value that an agent has, each with its own index."""

import re
import unicodedata
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.search import SearchQueryField
from django.db import models
from django.db.models import BooleanField, F, Func, Value
from django.db.models.functions import Cast

from clients.identity.cui import canonical
from clients.identity.names import normalised

_WORD = re.compile(r"[^\W_]+")
_PHONE = re.compile(r"[0-9 +()-]*")
_MAX_WORDS = 10
_LONGEST_WORD = 200
"""Characters. PostgreSQL refuses a word of more than 2,046 bytes."""


def folded(text: str) -> str:
    """Words in upper case without accents, separated by one space: `Muñoz-Nájar` -> `MUNOZ NAJAR`."""
    letters = unicodedata.normalize("NFD", text.upper())
    return " ".join(_WORD.findall("".join(each for each in letters if not unicodedata.combining(each))))


class ExternalClients(models.QuerySet[Any]):
    """External clients as a QuerySet."""

    def found_by(self, term: str) -> Self:
        """Clients with this CUI, `client_id` or id, with these digits as their phone, or with names that these words
        begin.

        Case, accents and word order do not matter in a name; CUI, phone and ids are exact. One branch for each index,
        joined by UNION: with OR the planner might read the whole table.
        """
        text = normalised(term)
        if not text:
            return self
        rows_of_all = self.model._default_manager.values_list("pk")
        branches = [rows_of_all.filter(client_id=text), rows_of_all.filter(cui=canonical(text))]
        with suppress(ValueError):
            branches.append(rows_of_all.filter(pk=UUID(text)))
        digits = re.sub("[^0-9]", "", text)
        is_number = bool(digits) and _PHONE.fullmatch(text) is not None
        if is_number:
            branches.append(rows_of_all.filter(phone_digits=digits))
        words = folded(text).split()[:_MAX_WORDS]
        if words and not is_number:  # no name begins with a number, but the planner expects some
            branches.append(rows_of_all.filter(_names_begin_with(words)))
        return self.filter(pk__in=branches[0].union(*branches[1:]))


class ExternalClientManager(models.Manager[Any]):
    """Manager written out: mypy's plugin loses one that is made by `as_manager` when it reads from its cache."""

    def get_queryset(self) -> ExternalClients:
        return ExternalClients(self.model, using=self._db)

    def found_by(self, text: str) -> ExternalClients:
        return self.get_queryset().found_by(text)


def _names_begin_with(words: list[str]) -> Func:
    """Condition: each word begins one of the client's names. Words hold letters and digits only, so quoting is safe."""
    query = " & ".join(f"'{word[:_LONGEST_WORD]}':*" for word in words)
    return Func(
        F("name_words"),
        Cast(Value(query), SearchQueryField()),
        template="(%(expressions)s)",
        arg_joiner=" @@ ",
        output_field=BooleanField(),
    )
