"""One person over all contracts: found by whatever an agent has in front of him, and gathered around one row.

Rows belong together by document or by mailbox. A shared telephone does not make two people one: it is in the timeline
of both.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from clients.models import Applicant, AuthorizedClient, ExternalClient
from clients.names import normalised
from clients.phones import mobile_ok
from external_api.models import ApiRequest
from messaging.models import Message
from tokens.finding import ids_reached_at
from tokens.models import VerificationToken

AT_MOST = 20
"""Rows of each kind that a search or a person shows, the newest first."""


@dataclass(frozen=True)
class Person:
    """Everything that is registered of somebody, newest first."""

    applicants: list[Applicant] = field(default_factory=list)
    authorized: list[AuthorizedClient] = field(default_factory=list)
    external: list[ExternalClient] = field(default_factory=list)
    mailbox: str = ""  # nobody registered has it, but messages went there

    @property
    def emails(self) -> list[str]:
        found = [*(row.email for row in self.applicants), *(row.email for row in self.authorized)]
        return sorted({*found, self.mailbox} - {""})

    @property
    def name(self) -> str:
        for applicant in self.applicants:
            return f"{applicant.names} {applicant.paternal_surname} {applicant.maternal_surname}".strip()
        for client in self.external:
            return f"{client.first_name} {client.last_name}"
        return next((row.name for row in self.authorized if row.name), "")


def around(row: Applicant | AuthorizedClient | ExternalClient) -> Person:
    """The person a row is about: what bears the same document, and what has the same mailbox."""
    match row:
        case ExternalClient():
            return Person(external=[row])
        case Applicant():
            document, email = (row.document_type, row.document_number), row.email
        case AuthorizedClient():
            document, email = (row.document_type, row.document_number), row.email
    same = Q(email=email)
    if document[1]:
        same |= Q(document_type=document[0], document_number=document[1])
    return Person(
        applicants=_newest(Applicant.objects.filter(same)), authorized=_newest(AuthorizedClient.objects.filter(same))
    )


def search(term: str) -> list[Person]:
    """The people a term may mean: a phone, mailbox, document, name, any id of ours, the partner's own, `id_solicitud`
    or `event_id`. Exact but for names. An empty term means nobody."""
    text = normalised(term)
    if not text:
        return []
    rows: list[Any] = [*_by_id(text), *_by_request(text), *_by_words(text)]
    people: list[Person] = []
    seen: set[tuple[str, Any]] = set()
    for row in rows:
        if (row._meta.label, row.pk) in seen:
            continue
        person = around(row)
        seen |= {(each._meta.label, each.pk) for each in (*person.applicants, *person.authorized, *person.external)}
        people.append(person)
    if not people and "@" in text and Message.objects.filter(recipient=text.lower()).exists():
        people.append(Person(mailbox=text.lower()))
    return people[:AT_MOST]


def _by_id(text: str) -> Iterable[Any]:
    """An id of ours: a client's, a code's, a message's."""
    wanted = None
    with suppress(ValueError):
        wanted = UUID(text)
    if wanted is None:
        return
    yield from Applicant.objects.filter(pk=wanted)
    yield from ExternalClient.objects.filter(pk=wanted)
    yield from Applicant.objects.filter(tokens__pk=wanted)
    for message in Message.objects.filter(pk=wanted).select_related("authorized_client"):
        if message.authorized_client is not None:
            yield message.authorized_client
        if message.reference is not None:
            yield from Applicant.objects.filter(tokens__pk=message.reference)
        yield from AuthorizedClient.objects.filter(email=message.recipient)[:1]


def _by_request(text: str) -> Iterable[Any]:
    """`id_solicitud` of contract 1, `event_67890` of contract 3."""
    number = text.removeprefix("event_")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        return
    asked = ApiRequest.objects.filter(pk=int(number)).first()
    if asked is None:
        return
    if asked.subject is not None:
        yield from Applicant.objects.filter(pk=asked.subject)
        yield from ExternalClient.objects.filter(pk=asked.subject)
    if asked.partner_id is not None and asked.action == "alta":
        of_request = AuthorizedClient.objects.filter(partner=asked.partner_id, request_id=asked.pk)
        yield from of_request.order_by("pk")[:AT_MOST]


def _by_words(text: str) -> Iterable[Any]:
    """A mailbox, a phone, a document, a name, the partner's own id."""
    if "@" in text:
        yield from _newest(Applicant.objects.filter(email=text.lower()))
        yield from _newest(Applicant.objects.filter(pk__in=ids_reached_at(text.lower())))
        yield from _newest(AuthorizedClient.objects.filter(email=text.lower()))
        return
    digits = "".join(text.split()).removeprefix("+51")
    if mobile_ok(digits):
        yield from _newest(Applicant.objects.filter(pk__in=ids_reached_at(digits)))
        yield from _newest(AuthorizedClient.objects.filter(phone=digits))
    if text.isalnum():
        yield from _newest(Applicant.objects.filter(document_number=text.upper()))
        yield from _newest(AuthorizedClient.objects.filter(document_number=text.upper()))
    yield from _newest(AuthorizedClient.objects.filter(external_code=text))
    yield from _newest(ExternalClient.objects.found_by(text))
    words = [word for word in text.split() if word.isalpha()]
    if words:
        named = Q()
        for word in words:
            named &= (
                Q(names__icontains=word) | Q(paternal_surname__icontains=word) | Q(maternal_surname__icontains=word)
            )
        yield from _newest(Applicant.objects.filter(named))
        yield from _newest(AuthorizedClient.objects.filter(*(Q(name__icontains=word) for word in words)))


def _newest(rows: QuerySet[Any]) -> list[Any]:
    return list(rows.select_related("partner").order_by("-created_at")[:AT_MOST])


def latest_code(person: Person) -> VerificationToken | None:
    """The code asked for last, over all registrations."""
    ids = [applicant.pk for applicant in person.applicants]
    return VerificationToken.objects.filter(applicant__in=ids).order_by("-created_at").first() if ids else None
