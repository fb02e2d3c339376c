"""Erasure of a person's data, and which rows are theirs: the rights of Ley 29733, over all apps.

A case shows everything that shares a mailbox; a right covers the data of the person only. Rows are theirs by document,
and by mailbox if no other document has it. What somebody else was told or sent is neither exported nor erased. The
person must have been identified before, at the desk or by the partner.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import Error, transaction
from django.db.models import Model, Q, QuerySet

import clients.retention
import external_api.retention
import messaging.retention
import subscription.retention
import tokens.retention
from clients.events import personal_data
from clients.events.personal_data import Subjects
from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient, audit
from external_api.models import ApiRequest
from messaging.models import RecipientFeedback, Suppression
from messaging.suppression import listing
from subscription.models import ConsentRecord, SubscriptionRequest
from support.cases.actions import Agent
from support.cases.person_search import Registered
from tokens.models import VerificationToken

log = logging.getLogger(__name__)

ERASED, EXPORTED = "person.erased", "person.exported"

Document = tuple[str, str]


@dataclass(frozen=True)
class Dossier:
    """All rows registered of one person, and the mailboxes they share with somebody else."""

    applicants: list[Applicant]
    authorized: list[AuthorizedClient]
    external: list[ExternalClient]
    shared: frozenset[str] = frozenset()

    @property
    def rows(self) -> list[Registered]:
        return [*self.applicants, *self.authorized, *self.external]

    @property
    def mailboxes(self) -> list[str]:
        return sorted({row.email for row in self.applicants} | {row.email for row in self.authorized})

    @property
    def own_mailboxes(self) -> list[str]:
        return [each for each in self.mailboxes if each not in self.shared]

    @property
    def subjects(self) -> list[UUID]:
        """The person's ids in the log of requests."""
        return [*(row.pk for row in self.applicants), *(row.pk for row in self.external)]

    @property
    def audited(self) -> list[tuple[str, str]]:
        """The person's objects in the audit."""
        return [(row._meta.label_lower, str(row.pk)) for row in self.rows]

    def token_ids(self) -> list[UUID]:
        mine = VerificationToken.objects.filter(applicant__in=[row.pk for row in self.applicants])
        return list(mine.order_by("created_at").values_list("pk", flat=True))

    def link_ids(self) -> list[UUID]:
        mine = SubscriptionRequest.objects.filter(email__in=self.own_mailboxes)
        return list(mine.order_by("requested_at").values_list("pk", flat=True))

    def message_ids(self) -> list[UUID]:
        return messaging.retention.messages_of(
            references=[*self.token_ids(), *self.link_ids()],
            clients=[row.pk for row in self.authorized],
            mailboxes=self.own_mailboxes,
            shared=sorted(self.shared),
        )

    def event_subjects(self) -> Subjects:
        """What the events that companies were told about the person are about."""
        ids = [*self.token_ids(), *self.message_ids(), *(row.pk for row in self.external)]
        return Subjects([str(each) for each in ids], [str(row.pk) for row in self.authorized])

    def values(self) -> set[str]:
        """Values that identify the person in the texts of other rows."""
        found = {*self.mailboxes}
        for applicant in self.applicants:
            found |= {applicant.document_number, applicant.proved_destination}
        for authorized in self.authorized:
            found |= {authorized.document_number, authorized.phone}
        for external in self.external:
            found |= {external.cui, external.phone}
        asked = VerificationToken.objects.filter(applicant__in=[row.pk for row in self.applicants])
        return (found | set(asked.values_list("destination", flat=True))) - self.shared - {""}


def dossier_of(row: Registered) -> Dossier:
    """All rows of the person of a row, over all partners, without anybody else's."""
    if isinstance(row, ExternalClient):
        return Dossier([], [], list(ExternalClient.objects.select_related("partner").filter(cui=row.cui)))
    documents = {_document(row)} - {None} or _only_document_of(row.email)
    mailboxes = {row.email}
    while True:
        found = _bearing(documents, mailboxes)
        shared = {each.email for each in found if _document(each) is not None and _document(each) not in documents}
        mine = [
            each
            for each in found
            if _document(each) in documents
            or (_document(each) is None and (each.email not in shared or each.email == row.email == _mailbox_only(row)))
        ]
        reached = {each.email for each in mine}
        if reached <= mailboxes:
            break
        mailboxes |= reached
    return Dossier(
        [each for each in mine if isinstance(each, Applicant)],
        [each for each in mine if isinstance(each, AuthorizedClient)],
        [],
        frozenset(shared & reached),
    )


def _document(row: Applicant | AuthorizedClient) -> Document | None:
    return (row.document_type, row.document_number) if row.document_number else None


def _mailbox_only(row: Applicant | AuthorizedClient) -> str:
    return "" if row.document_number else row.email


def _only_document_of(email: str) -> set[Document | None]:
    """The one document with this mailbox; None if there are two, since nobody knows whose it is."""
    found = {_document(each) for each in _bearing(set(), {email})} - {None}
    return found if len(found) == 1 else set()


def _bearing(documents: set[Document | None], mailboxes: set[str]) -> list[Applicant | AuthorizedClient]:
    either = Q(email__in=mailboxes)
    for document in documents:
        if document is not None:
            either |= Q(document_type=document[0], document_number=document[1])
    applicants = Applicant.objects.filter(either).select_related("partner").order_by("created_at")
    authorized = AuthorizedClient.objects.filter(either).select_related("partner").order_by("created_at")
    return [*applicants, *authorized]


def preview(person: Dossier) -> list[tuple[str, int]]:
    """What an erasure would remove, for the agent before they confirm."""
    return [
        ("registros de InformaPerú", len(person.applicants)),
        ("autorizaciones de NoPasaNadaPE", len(person.authorized)),
        ("registros externos", len(person.external)),
        ("códigos", len(person.token_ids())),
        ("mensajes", len(person.message_ids())),
        ("pedidos de suscripción", len(person.link_ids())),
        ("rebotes, quejas y bajas de sus correos", feedback_of(person).count()),
        ("solicitudes sobre la persona", ApiRequest.objects.filter(subject__in=person.subjects).count()),
    ]


def feedback_of(person: Dossier) -> QuerySet[RecipientFeedback]:
    """What came back for mails to the person's own mailboxes."""
    return RecipientFeedback.objects.filter(mailbox__in=person.own_mailboxes)


def suppressions_of(person: Dossier) -> QuerySet[Suppression]:
    """Entries of the suppression list about the person's own mailboxes. An erasure keeps live ones by a keyed hash."""
    return Suppression.objects.filter(mailbox__in=person.own_mailboxes)


def consents_kept(person: Dossier) -> int:
    return ConsentRecord.objects.filter(authorized_client__in=[row.pk for row in person.authorized]).count()


def note_export(row: Registered, agent: Agent) -> None:
    audit(row, EXPORTED, at=agent.at, by=agent.by, reason=agent.reason, address=agent.address)


def erase(row: Registered, agent: Agent) -> AuditEntry | None:
    """Erase the person in one transaction; return the audit entry. None if they were just erased by another call.

    Locks are taken in the order of docs/architecture.md, since other calls go on: applicants, destinations, tokens,
    messages; links before authorised clients, as a confirmation takes them. Raises
    messaging.retention.MessageBeingSent, with nothing done, while a provider is called with one of the messages.
    """
    with transaction.atomic():
        person = _locked(row)
        if person is None:
            return None
        values, taken, events = person.values(), preview(person), person.event_subjects()
        _erase_rows(person, values, at=agent.at)
        personal_data.erase(events)
        companies = [each.partner_id for each in person.rows if each.partner_id is not None]
        entries = [
            audit(
                each,
                ERASED,
                at=agent.at,
                by=agent.by,
                reason=agent.reason,
                address=agent.address,
                case=f"{row._meta.label_lower} {row.pk}",
                taken=taken,
            )
            for each in sorted(person.rows, key=lambda each: each.pk != row.pk)
        ]
    _erase_answers(values | _spoken_names(person) | set(map(str, person.subjects)), companies)
    return entries[0]


def _erase_answers(values: set[str], companies: Sequence[int]) -> None:
    """Erase kept answers after the commit. A failure here does not make the erasure fail: the person is erased, and the
    rest expires within a day like every kept answer."""
    try:
        external_api.retention.erase_answers(values, companies)
    except Error:
        log.exception("kept answers that may repeat an erased person stay until their day is over")


def _locked(row: Registered) -> Dossier | None:
    """The person's rows, locked; None if they were erased meanwhile."""
    seen = dossier_of(row)
    for rows in (
        Applicant.objects.filter(pk__in=[each.pk for each in seen.applicants]).order_by("pk"),
        SubscriptionRequest.objects.filter(email__in=seen.own_mailboxes).order_by("pk"),
        AuthorizedClient.objects.filter(pk__in=[each.pk for each in seen.authorized]).order_by("email", "pk"),
        ExternalClient.objects.filter(pk__in=[each.pk for each in seen.external]).order_by("pk"),
    ):
        list(cast(Any, rows).select_for_update().values_list("pk"))
    again = cast(Any, type(row)).objects.select_related("partner").filter(pk=row.pk).first()
    return dossier_of(again) if again is not None else None


def _erase_rows(person: Dossier, values: set[str], *, at: datetime) -> None:
    tokens.retention.erase([each.pk for each in person.applicants], at=at)
    messages = person.message_ids()
    subscription.retention.erase_links(person.own_mailboxes)
    clients.retention.erase_authorized([each.pk for each in person.authorized], at=at)
    messaging.retention.erase(messages, to=sorted(values), at=at)
    listing.erase(person.own_mailboxes)
    clients.retention.erase_external([each.pk for each in person.external])
    external_api.retention.erase_requests(person.subjects)
    clients.retention.redact_audit(person.audited, values)
    _erase_in_admin_log(person.rows)


def _erase_in_admin_log(rows: Sequence[Model]) -> None:
    """Erase the names that Django's list of recent admin actions repeats."""
    for row in rows:
        mine = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk))
        mine.update(object_repr=clients.retention.REDACTED, change_message="")


def _spoken_names(person: Dossier) -> set[str]:
    """Names as the warning about an already proved phone tells them in answers to others."""
    return {f"{row.names.split()[0]} {row.paternal_surname}".upper() for row in person.applicants if row.names.split()}
