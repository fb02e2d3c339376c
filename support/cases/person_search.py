"""Search of one person over all contracts, by any value that an agent has, and everything related to one row.

Rows belong together by document or by mailbox. Two people who share a phone stay two; it is in the timeline of both.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, zip_longest
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
"""People in a search, and rows of each kind in a case, the newest first."""
ONE_MORE = MAX_ROWS + 1
"""Rows of each kind that a search reads: with the last one it knows that there are more."""

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
    found: dict[type[Model], list[Any]] = {}
    for model in (Applicant, AuthorizedClient):
        of_document = _ids(model, same_person) if document[1] else ()
        found[model] = _newest(model, _of_mailbox(model, email), of_document)[:MAX_ROWS]
    return Person(applicants=found[Applicant], authorized=found[AuthorizedClient])


@dataclass(frozen=True)
class Hit:
    """A person found, and the name of the number that led there if it is none of the person's own values."""

    person: Person
    by: str = ""


@dataclass(frozen=True)
class Hits:
    """People found, MAX_ROWS at most, and whether there are others."""

    found: list[Hit] = field(default_factory=list)
    has_more: bool = False


def search(term: str) -> list[Person]:
    """People found by a term, as `find` finds them."""
    return [hit.person for hit in find(term).found]


def find(term: str) -> Hits:
    """People found by a term: a phone, mailbox, document, name, any id of ours, the partner's own, `id_solicitud` or
    `event_id`. Exact except for names. An empty term finds nobody. Of a common value some of each kind are shown."""
    text = normalised(term)
    if not text:
        return Hits()
    found: list[Hit] = []
    seen: set[tuple[Any, ...]] = set()
    rows_of_a_kind: dict[str, int] = {}
    for row, by in _rows(text):
        rows_of_a_kind[row._meta.label] = rows_of_a_kind.get(row._meta.label, 0) + 1
        if (row._meta.label, row.pk) in seen or _identity(row) in seen:
            continue
        if len(found) == MAX_ROWS:
            return Hits(found, has_more=True)
        person = person_of(row)
        seen |= {(each._meta.label, each.pk) for each in (*person.applicants, *person.authorized, *person.external)}
        seen.add(_identity(row))
        found.append(Hit(person, by))
    if not found and "@" in text and Message.objects.filter(recipient=typed.mailbox(text)).exists():
        found.append(Hit(Person(mailbox=typed.mailbox(text))))
    return Hits(found, has_more=max(rows_of_a_kind.values(), default=0) > MAX_ROWS)


def _rows(text: str) -> Iterator[tuple[Any, str]]:
    """Rows of a search with what they were found by, the most exact first, in turn of each kind."""
    request = "event_id" if text.startswith("event_") else "id_solicitud"
    for rows, by in ((_by_id(text), ""), (_by_request(text), request), (_by_value(text), "")):
        for row in _in_turn(rows):
            yield row, by or _partners_own_number(row, text)


def _in_turn(rows: Iterable[Any]) -> Iterator[Any]:
    """Rows in turn of each kind: an applicant, an authorised client, an external client, the next applicant."""
    kinds: dict[str, list[Any]] = {}
    for row in rows:
        kinds.setdefault(row._meta.label, []).append(row)
    return (row for turn in zip_longest(*kinds.values()) for row in turn if row is not None)


def _partners_own_number(row: Registered, text: str) -> str:
    """Name of the partner's own number if that is what was typed. Digits may be meant as the beginning of a phone."""
    if not text.isdigit():
        return ""
    match row:
        case AuthorizedClient() if row.external_code == text and text not in (row.document_number, row.phone):
            return "código externo"
        case ExternalClient() if row.client_id == text and text not in (row.cui, row.phone_digits):
            return "id del cliente en la empresa"
    return ""


def _identity(row: Registered) -> tuple[Any, ...]:
    """Values by which `person_of` joins rows; two rows with the same are one person."""
    if isinstance(row, ExternalClient):
        return ("external", row.pk)
    return (row.document_type, row.document_number, row.email)


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
        yield from of_request.order_by("pk")[:ONE_MORE]


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
    yield from ExternalClient.objects.found_by(text).select_related("partner").order_by("-created_at")[:ONE_MORE]
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
    """The newest of the rows with these ids, ONE_MORE at most."""
    rows = model._default_manager.filter(pk__in=set(chain(*found))).select_related("partner")
    return list(rows.order_by("-created_at")[:ONE_MORE])


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
