"""Search of one person over all contracts, by any value that an agent has, and everything related to one row.

Rows belong together by document or by mailbox. Two people who share a phone stay two; it is in the timeline of both.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Model, Q

from clients.identity.names import normalised
from clients.models import Applicant, AuthorizedClient, ExternalClient
from clients.search import typed
from clients.search.names import MAX_RESULTS, authorized_with_names, ids, with_names
from external_api.models import ApiRequest
from messaging.models import Message
from tokens.models import VerificationToken
from tokens.search import ids_reached_at

MAX_ROWS = 20
"""Rows of each kind in a search or a case, the newest first."""

Registered = Applicant | AuthorizedClient | ExternalClient


@dataclass(frozen=True)
class Person:
    """Everything that is registered of a person, newest first."""

    applicants: list[Applicant] = field(default_factory=list)
    authorized: list[AuthorizedClient] = field(default_factory=list)
    external: list[ExternalClient] = field(default_factory=list)
    mailbox: str = ""  # recipient of messages, of no registered person

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


def person_of(row: Registered) -> Person:
    """The person of a row: rows with the same document, and rows with the same mailbox."""
    match row:
        case ExternalClient():
            return Person(external=[row])
        case Applicant():
            document, email = (row.document_type, row.document_number), row.email
        case AuthorizedClient():
            document, email = (row.document_type, row.document_number), row.email
    same_person = Q(document_type=document[0], document_number=document[1])
    if not document[1]:
        return Person(
            applicants=_newest(Applicant, _of_mailbox(Applicant, email)),
            authorized=_newest(AuthorizedClient, _of_mailbox(AuthorizedClient, email)),
        )
    return Person(
        applicants=_newest(Applicant, _of_mailbox(Applicant, email), _ids(Applicant, same_person)),
        authorized=_newest(AuthorizedClient, _of_mailbox(AuthorizedClient, email), _ids(AuthorizedClient, same_person)),
    )


def search(term: str) -> list[Person]:
    """People found by a term: a phone, mailbox, document, name, any id of ours, the partner's own, `id_solicitud` or
    `event_id`. Exact except for names. An empty term finds nobody."""
    text = normalised(term)
    if not text:
        return []
    people: list[Person] = []
    seen: set[tuple[str, Any]] = set()
    for row in chain(_by_id(text), _by_request(text), _by_value(text)):
        if len(people) == MAX_ROWS:
            break
        if (row._meta.label, row.pk) in seen:
            continue
        person = person_of(row)
        seen |= {(each._meta.label, each.pk) for each in (*person.applicants, *person.authorized, *person.external)}
        people.append(person)
    if not people and "@" in text and Message.objects.filter(recipient=typed.mailbox(text)).exists():
        people.append(Person(mailbox=typed.mailbox(text)))
    return people


def _by_id(text: str) -> Iterable[Any]:
    """By one of our ids: of a client, a code or a message."""
    wanted = None
    with suppress(ValueError):
        wanted = UUID(text)
    if wanted is None:
        return
    yield from Applicant.objects.filter(pk=wanted)
    yield from ExternalClient.objects.filter(pk=wanted)
    yield from Applicant.objects.filter(tokens__pk=wanted)
    for message in Message.objects.filter(pk=wanted):
        if message.authorized_client_id is not None:  # read by the manager, which leaves out erased clients
            yield from AuthorizedClient.objects.filter(pk=message.authorized_client_id)
        if message.reference is not None:
            yield from Applicant.objects.filter(tokens__pk=message.reference)
        yield from AuthorizedClient.objects.filter(email=message.recipient)[:1]


def _by_request(text: str) -> Iterable[Any]:
    """By `id_solicitud` of contract 1 or `event_67890` of contract 3."""
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
        yield from of_request.order_by("pk")[:MAX_ROWS]


def _by_value(text: str) -> Iterable[Any]:
    """By mailbox, phone, document, name or the partner's own id. One query for each, so that each uses its index and
    the planner scans no table."""
    if "@" in text:
        email = typed.mailbox(text)
        yield from _newest(Applicant, _of_mailbox(Applicant, email), _reached_at(email))
        yield from _newest(AuthorizedClient, _of_mailbox(AuthorizedClient, email))
        return
    phone = typed.phone(text)
    if phone:
        yield from _newest(Applicant, _reached_at(phone))
        yield from _newest(AuthorizedClient, _ids(AuthorizedClient, Q(phone=phone)))
    of_document, of_code = Q(document_number__in=typed.documents(text)), Q(external_code=text)
    yield from _newest(Applicant, _ids(Applicant, of_document))
    yield from _newest(AuthorizedClient, _ids(AuthorizedClient, of_document), _ids(AuthorizedClient, of_code))
    yield from ExternalClient.objects.found_by(text).select_related("partner").order_by("-created_at")[:MAX_ROWS]
    named = with_names(text)
    if named is not None and not any(letter.isdigit() for letter in text):
        yield from _newest(Applicant, ids(Applicant.objects.all(), named))
        yield from _newest(AuthorizedClient, authorized_with_names(AuthorizedClient.objects.all(), text))


def _ids(model: type[Model], condition: Q) -> Iterable[Any]:
    return model._default_manager.filter(condition).order_by().values_list("pk", flat=True)[:MAX_RESULTS]


def _of_mailbox(model: type[Model], email: str) -> Iterable[Any]:
    return _ids(model, Q(email=email))


def _reached_at(destination: str) -> list[Any]:
    return [row[0] for row in ids_reached_at(destination)[:MAX_RESULTS]]


def _newest(model: type[Model], *found: Iterable[Any]) -> list[Any]:
    """The newest of the rows with these ids."""
    rows = model._default_manager.filter(pk__in=set(chain(*found))).select_related("partner")
    return list(rows.order_by("-created_at")[:MAX_ROWS])


def latest_code(person: Person) -> VerificationToken | None:
    """The last code, over all registrations."""
    ids = [applicant.pk for applicant in person.applicants]
    return VerificationToken.objects.filter(applicant__in=ids).order_by("-created_at").first() if ids else None


def name_of(row: Registered) -> str:
    """Who a case's rights belong to: an agent may see two people who share a mailbox."""
    match row:
        case Applicant():
            parts = [f"{row.names} {row.paternal_surname} {row.maternal_surname}".strip(), str(row)]
        case AuthorizedClient():
            parts = [row.name, f"{row.document_type} {row.document_number}".strip(), f"autorizado por {row.partner}"]
        case ExternalClient():
            parts = [f"{row.first_name} {row.last_name}", f"CUI {row.cui}"]
    return ", ".join(part for part in parts if part)
