"""Timeline of a person over all contracts, newest first.

Destinations are masked, and no row holds a code. Bounded: each source gives its newest rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import Q

from clients.models import AuditEntry
from external_api.models import ApiRequest
from messaging.masking import masked, masked_in
from messaging.models import Message, MessageEvent, Suppression, Via
from subscription.models import ConsentRecord
from support.cases.person_search import Person
from tokens.cooldown import format_wait
from tokens.models import CodeTry, LadderForgiveness, VerificationToken

MAX_ENTRIES = 200
"""Entries shown in a case."""
ROWS_PER_SOURCE = 100
"""Rows read from each source."""

_BAD = {"FAILED", "UNDELIVERED", "EXPIRED"}
_GOOD = {"SENT", "DELIVERED"}
_END = {
    "VALIDADO": ("Código verificado", "good"),
    "FALLIDO": ("Código anulado: cinco errados", "bad"),
    "EXPIRADO": ("Código vencido, con errados", "bad"),
    "SIN_RESPUESTA": ("Código vencido, no se ingresó", "bad"),
    "CANCELADO": ("Código cancelado", "plain"),
    "REEMPLAZADO": ("Código reemplazado por otro", "plain"),
    "NO_ENVIADO": ("Código no enviado", "bad"),
}
_ACTIONS = {
    "client": "Registro",
    "token": "Pedido de código",
    "verify": "Verificación",
    "cancel": "Cancelación",
    "expire": "Aviso de vencimiento",
    "cooldown": "Consulta de espera",
    "registry": "Registro externo",
}


_TOLD_BY_A_TRY = ("ERR_INVALID_TOKEN", "ERR_MAX_ATTEMPTS", "ERR_TOKEN_EXPIRED")


@dataclass(frozen=True)
class Entry:
    """Entry: time, kind, what happened, and its rating (good, bad, neutral)."""

    at: datetime
    kind: str
    title: str
    detail: str = ""
    tone: str = "plain"


def of(person: Person) -> list[Entry]:
    """The newest MAX_ENTRIES entries."""
    tokens = list(
        VerificationToken.objects.filter(applicant__in=[each.pk for each in person.applicants])
        .select_related("applicant__partner")
        .order_by("-created_at")[:ROWS_PER_SOURCE]
    )
    lines = chain(
        _registrations(person),
        _requests(person),
        _codes(tokens),
        _tries(tokens),
        _messages(person, tokens),
        _consents(person),
        _suppressions(person),
        _staff(person),
    )
    return sorted(lines, key=lambda entry: entry.at, reverse=True)[:MAX_ENTRIES]


def _registrations(person: Person) -> Iterator[Entry]:
    for applicant in person.applicants:
        company = applicant.partner or "el formulario abierto"
        yield Entry(applicant.created_at, "registro", f"Se registró por {company}", str(applicant))
        if applicant.updated_at > applicant.created_at:
            yield Entry(applicant.updated_at, "registro", f"Datos reemplazados por {company}")
    for row in person.authorized:
        yield Entry(row.created_at, "autorización", f"Autorizado por {row.partner}", f"solicitud {row.request_id}")
        if row.deauthorized_at is not None:
            yield Entry(row.deauthorized_at, "autorización", f"Dado de baja por {row.partner}", tone="bad")


def _requests(person: Person) -> Iterator[Entry]:
    """Refused API calls about the person. Successful calls are represented by the rows they wrote."""
    ids = [*(each.pk for each in person.applicants), *(each.pk for each in person.external)]
    asked = ApiRequest.objects.filter(subject__in=ids, status__gte=400).exclude(status=404)
    for row in asked.exclude(code__in=_TOLD_BY_A_TRY).order_by("-id")[:ROWS_PER_SOURCE]:
        title = f"{_ACTIONS.get(row.action, row.action)} con respuesta {row.status}"
        yield Entry(row.created_at, "solicitud", title, f"{row.code} (solicitud {row.pk})", "bad")


def _codes(tokens: Sequence[VerificationToken]) -> Iterator[Entry]:
    for token in tokens:
        wait = max(token.client_wait, token.destination_wait)
        number = max(token.client_attempt, token.destination_attempt)
        yield Entry(
            token.created_at,
            "código",
            f"Pidió un código por {token.get_via_display()} a {masked(token.via, token.destination)}",
            f"pedido {number} en 24 horas; el siguiente, tras {format_wait(wait)}" if wait else f"pedido {number}",
        )
        if token.finished_at is not None:
            title, tone = _END[token.outcome]
            yield Entry(token.finished_at, "código", title, tone=tone)
        if token.returned_at is not None:
            yield Entry(token.returned_at, "código", "El pedido no cuenta en la espera", "ningún proveedor lo tomó")


def _tries(tokens: Sequence[VerificationToken]) -> Iterator[Entry]:
    ends = {token.pk: token.expires_at for token in tokens}
    for each in CodeTry.objects.filter(token__in=list(ends)).order_by("-at")[:ROWS_PER_SOURCE]:
        detail = ""
        if each.result != CodeTry.Result.WRONG:
            seconds = -(-int((each.at - ends[each.token_id]).total_seconds() * 1000) // 1000)
            detail = f"{seconds} s tarde"
        yield Entry(each.at, "intento", f"Código ingresado: {each.get_result_display().lower()}", detail, "bad")


def _messages(person: Person, tokens: Sequence[VerificationToken]) -> Iterator[Entry]:
    whose = Q(reference__in=[token.pk for token in tokens]) | Q(recipient__in=person.emails)  # each by its index
    rows = Message.objects.filter(whose).only("id", "kind", "via", "recipient", "subject", "fallback_for_id")
    by_id: dict[Any, Message] = {row.pk: row for row in rows.order_by("-created_at")[:ROWS_PER_SOURCE]}
    for event in MessageEvent.objects.filter(message__in=list(by_id)).order_by("-at")[: 4 * ROWS_PER_SOURCE]:
        message = by_id[event.message_id]
        what = (
            f"{message.get_kind_display()} por {message.get_via_display()} a {masked(message.via, message.recipient)}"
        )
        detail = masked_in(event.detail, message.via, message.recipient)
        said = " · ".join(part for part in (event.provider, detail, message.subject) if part)
        if message.fallback_for_id:
            said = " · ".join(part for part in ("en lugar de otra vía", said) if part)
        tone = "bad" if event.state in _BAD else "good" if event.state in _GOOD else "plain"
        yield Entry(event.at, "mensaje", f"{event.get_state_display()}: {what}", said, tone)


def _consents(person: Person) -> Iterator[Entry]:
    rows = ConsentRecord.objects.filter(email__in=person.emails).select_related("authorized_client__partner")
    for row in rows.order_by("-at")[:ROWS_PER_SOURCE]:
        verb = "Aceptó" if row.act == ConsentRecord.Act.GIVEN else "Dejó de aceptar"
        title = f"{verb} mensajes de {row.authorized_client.partner}"
        yield Entry(row.at, "suscripción", title, row.get_how_display())


def _suppressions(person: Person) -> Iterator[Entry]:
    """From when to when its mailboxes get no more mail, and the complaints and unsubscriptions that came with mails."""
    for row in Suppression.objects.filter(mailbox__in=person.emails).select_related("partner").order_by("-created_at"):
        whom = f" de {row.partner}" if row.partner else ""
        evidence = masked_in(row.evidence, Via.EMAIL, row.mailbox)
        title = f"Sin envío de boletines{whom}: {row.get_reason_display().lower()}"
        yield Entry(row.created_at, "buzón", title, evidence, "bad")
        if row.lifted_at is not None:
            title = f"{row.lifted_by or 'El sistema'} levantó la suspensión{whom}"
            yield Entry(row.lifted_at, "buzón", title, row.lifted_because, "good")


def _staff(person: Person) -> Iterator[Entry]:
    """Actions of staff with their reason, and changes that partners made in the registry."""
    for row in LadderForgiveness.objects.filter(applicant__in=[each.pk for each in person.applicants]).order_by("-at"):
        yield Entry(row.at, "personal", f"{row.by} perdonó la espera por {row.get_via_display()}", row.reason)
    about = Q()
    for model, rows in (
        ("applicant", person.applicants),
        ("authorizedclient", person.authorized),
        ("externalclient", person.external),
    ):
        if rows:
            about |= Q(object_type=f"clients.{model}", object_id__in=[str(each.pk) for each in rows])
    if about:
        entries = AuditEntry.objects.filter(about).exclude(action="ladder.forgiven").order_by("-at")[:ROWS_PER_SOURCE]
        for entry in entries:
            yield Entry(entry.at, "personal", f"{entry.actor}: {AUDITED.get(entry.action, entry.action)}", entry.reason)


AUDITED = {
    "applicant.unlocked": "desbloqueó",
    "external_client.registered": "registró",
    "external_client.changed": "cambió los datos",
    "recipient.unmasked": "vio el destino completo",
    "code.cancelled": "canceló el código",
    "code.resent": "pidió otro código",
    "client.deauthorized": "dio de baja",
    "person.exported": "entregó una copia de sus datos",
    "person.erased": "borró sus datos",
}
