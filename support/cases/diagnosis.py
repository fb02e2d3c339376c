"""Diagnosis: why a person got no code or gets no bulletins, as one sentence and the next step, from a closed list.

Read from the rows at this moment; nothing is guessed. If a provider never sends receipts, the diagnosis says that the
message left and nothing is known since.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.utils.timezone import localtime

from clients.models import Applicant, AuthorizedClient
from external_api.models import ApiRequest
from messaging.delivery import mail_bounces
from messaging.masking import masked
from messaging.models import Message, Via
from messaging.reasons import Reason
from support.cases import bulletins
from support.cases.person_search import Person, latest_code
from tokens import cooldown_queries
from tokens.cooldown import format_wait
from tokens.models import CodeTry, VerificationToken

STUCK_AFTER = timedelta(seconds=15)
"""A code leaves within a second or two; after this it is stuck."""

Outcome = VerificationToken.Outcome
State = Message.State


class Why(Enum):
    """The closed list of diagnoses. Partners read the words of `messaging.reasons` in their events, too."""

    NEVER_ASKED = "never_asked"
    WAITING = "waiting"
    ON_ITS_WAY = "on_its_way"
    STUCK = Reason.STUCK.value
    REFUSED = Reason.REFUSED.value
    NOT_DELIVERABLE = Reason.NOT_DELIVERABLE.value
    UNCLEAR = Reason.UNCLEAR.value
    NOT_ENTERED = Reason.NOT_ENTERED.value
    WRONG = Reason.WRONG.value
    LATE = Reason.LATE.value
    VERIFIED = "verified"
    CANCELLED = Reason.CANCELLED.value
    LOCKED = "locked"
    NOT_AUTHORIZED = "not_authorized"
    REMOVED = "removed"
    UNSUBSCRIBED = "unsubscribed"
    NOT_SUBSCRIBED = "not_subscribed"
    SUBSCRIBED = "subscribed"
    SUPPRESSED = Reason.SUPPRESSED.value
    BULLETIN_REFUSED = "bulletin_refused"
    REGISTERED = "registered"


@dataclass(frozen=True)
class Diagnosis:
    """What happened and what to do, in Spanish, for the agent to read out."""

    why: Why
    sentence: str
    next_step: str


def diagnose(person: Person, *, at: datetime) -> list[Diagnosis]:
    """Diagnoses of a person, the most recent concern first: codes, bulletins, registry."""
    found = []
    if person.applicants:
        found.append(of_codes(person, at=at))
    if person.authorized:
        found.append(of_bulletins(person.authorized))
    if person.external:
        found.append(_registered(person))
    return found or [
        Diagnosis(
            Why.NOT_AUTHORIZED,
            "Ninguna empresa lo ha autorizado ni registrado.",
            "Pida a la empresa que lo registre con este dato.",
        )
    ]


def of_codes(person: Person, *, at: datetime) -> Diagnosis:
    """Diagnosis of the last code."""
    token = latest_code(person)
    if token is None:
        return _without_a_code(person.applicants[0])
    applicant = next(each for each in person.applicants if each.pk == token.applicant_id)
    if applicant.is_validated:
        return _verified(applicant)
    if applicant.locked_at is not None:
        return _locked(applicant)
    ladders = cooldown_queries.read(applicant.pk, token.via, token.destination, twin=token.twin_id, at=at)
    until = ladders.applying.available_at
    waiting = _refused_by_the_ladder(applicant, token, until, at=at)
    if waiting is not None:
        return waiting
    return _of_token(token, then=_can_ask(until, at=at), at=at)


def of_bulletins(authorized: list[AuthorizedClient]) -> Diagnosis:
    """Diagnosis of bulletins and alerts, by the newest authorisation."""
    live = [row for row in authorized if row.deauthorized_at is None]
    if not live:
        row = max(authorized, key=lambda each: each.deauthorized_at or each.created_at)
        return Diagnosis(
            Why.REMOVED,
            f"{row.partner} lo dio de baja el {_at(row.deauthorized_at)}; no recibe boletines ni alertas.",
            "Si quiere recibirlos, la empresa debe autorizarlo otra vez.",
        )
    row = live[0]
    suppressed = bulletins.suppressed(row)
    if suppressed is not None:
        return Diagnosis(Why.SUPPRESSED, *suppressed)
    if row.is_subscribed:
        return _subscribed(row)
    if row.unsubscribed_at is not None:
        return Diagnosis(
            Why.UNSUBSCRIBED,
            f"Se dio de baja de los mensajes de {row.partner} el {_at(row.unsubscribed_at)}.",
            "Puede suscribirse de nuevo en la página de suscripción.",
        )
    return Diagnosis(
        Why.NOT_SUBSCRIBED,
        f"{row.partner} lo autorizó el {_at(row.created_at)}, pero no ha confirmado su suscripción.",
        "Debe pedir el enlace en la página de suscripción y confirmarlo en 24 horas.",
    )


def _subscribed(row: AuthorizedClient) -> Diagnosis:
    """By what became of the last bulletin or alert, where there was one."""
    since = f"Está suscrito a los mensajes de {row.partner} desde el {_at(row.subscribed_at)}."
    last = bulletins.last_to(row)
    if last is None:
        return Diagnosis(Why.SUBSCRIBED, f"{since} Todavía no se le envió ninguno.", "No hace falta nada.")
    if last.was_refused:
        sentence = f"{last.sentence} {since}"
        return Diagnosis(Why.BULLETIN_REFUSED, sentence, last.next_step)
    return Diagnosis(Why.SUBSCRIBED, f"{since} {last.sentence}", last.next_step)


def _without_a_code(applicant: Applicant) -> Diagnosis:
    if applicant.is_validated:
        return _verified(applicant)
    if applicant.locked_at is not None:
        return _locked(applicant)
    return Diagnosis(
        Why.NEVER_ASKED,
        f"Se registró el {_at(applicant.created_at)} y nunca se pidió un código para él.",
        "Debe pedir el código en la página de la empresa.",
    )


def _verified(applicant: Applicant) -> Diagnosis:
    where = masked(applicant.proved_via, applicant.proved_destination)
    return Diagnosis(
        Why.VERIFIED,
        f"Ya está verificado: demostró {where} el {_at(applicant.validated_at)}.",
        "No necesita otro código.",
    )


def _locked(applicant: Applicant) -> Diagnosis:
    return Diagnosis(
        Why.LOCKED,
        f"Está bloqueado desde el {_at(applicant.locked_at)} por 100 códigos errados seguidos.",
        "Compruebe quién llama antes de desbloquearlo.",
    )


def _refused_by_the_ladder(
    applicant: Applicant, token: VerificationToken, until: datetime | None, *, at: datetime
) -> Diagnosis | None:
    """Whether the person's last request for a code was refused because of a wait that still runs, until `until`."""
    if until is None:
        return None
    asked = ApiRequest.objects.filter(subject=applicant.pk, action="token").order_by("-id").first()
    if asked is None or asked.code != "ERR_COOLDOWN_ACTIVE" or asked.created_at < token.created_at:
        return None
    return Diagnosis(
        Why.WAITING,
        f"Pidió otro código el {_at(asked.created_at)} y no salió: debe esperar hasta el {_at(until)}.",
        f"Faltan {format_wait(until - at)}. Puede perdonarle la espera.",
    )


def _can_ask(until: datetime | None, *, at: datetime) -> str:
    """When the next code can be requested."""
    if until is None:
        return "Puede pedir otro código ahora."
    return (
        f"Puede pedir otro código el {_at(until)} (faltan {format_wait(until - at)}), o antes si le perdona la espera."
    )


def _of_token(token: VerificationToken, *, then: str, at: datetime) -> Diagnosis:
    """By the most certain source: what the person typed, then the provider's receipt, then the absence of one."""
    late = CodeTry.objects.filter(token=token, result=CodeTry.Result.LATE).order_by("at").first()
    if late is not None:
        seconds = -(-(late.at - token.expires_at) // timedelta(seconds=1))
        return Diagnosis(
            Why.LATE,
            f"Ingresó el código correcto {_seconds(seconds)} tarde: venció el {_at(token.expires_at)}.",
            f"El código vale 2 minutos y 30 segundos. {then}",
        )
    if token.wrong_tries and (token.outcome != Outcome.PENDING or token.is_expired(at=at)):
        return Diagnosis(Why.WRONG, f"Ingresó mal el código {_times(token.wrong_tries)}.", then)
    if token.outcome == Outcome.CANCELLED:
        return Diagnosis(Why.CANCELLED, f"El código se canceló el {_at(token.finished_at)}.", then)
    message = Message.objects.filter(reference=token.pk).order_by("-created_at").first()
    if message is None:
        return Diagnosis(Why.STUCK, "El código no tiene mensaje.", f"Avise a operaciones. {then}")
    return _BY_STATE[State(message.state)](token, message, then, at)


def _waiting_to_leave(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    waited = at - message.created_at
    reply = f" (su proveedor respondió: {message.provider_reply})" if message.provider_reply else ""
    if waited < STUCK_AFTER:
        sentence = f"El código se pidió hace {_seconds(waited // timedelta(seconds=1))} y está saliendo{reply}."
        return Diagnosis(Why.ON_ITS_WAY, sentence, "Espere unos segundos y busque de nuevo.")
    sentence = f"El mensaje espera en la cola desde el {_at(message.created_at)}{reply}."
    return Diagnosis(Why.STUCK, sentence, f"Avise a operaciones. {then}")


def _never_left(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    return Diagnosis(Why.STUCK, "El mensaje venció en la cola: no salió a tiempo.", f"Avise a operaciones. {then}")


def _refused(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    if message.provider_reply == mail_bounces.NOT_TRIED:
        return Diagnosis(Why.SUPPRESSED, *bulletins.code_stopped(token.destination, then, at=at))
    sentence = f"El proveedor {message.provider or '—'} rechazó el mensaje: {message.provider_reply or 'sin motivo'}."
    return Diagnosis(Why.REFUSED, sentence, f"Confirme {_what(token)} con el cliente o pruebe por otra vía. {then}")


def _not_delivered(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    event = message.events.filter(state=State.UNDELIVERED).order_by("-at").first()
    reason = (event.detail if event else "") or "el proveedor no dice por qué"
    to = masked(token.via, token.destination)
    sentence = f"El proveedor informó que el mensaje no pudo entregarse a {to}: {reason}."
    return Diagnosis(
        Why.NOT_DELIVERABLE,
        sentence,
        f"Confirme {_what(token)} con el cliente o pruebe por otra vía. Si aun así llega, se verá aquí. {then}",
    )


def _unclear(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    sentence = f"El proveedor {message.provider} no dio una respuesta clara: puede haber salido o no."
    return Diagnosis(Why.UNCLEAR, sentence, f"Ese intento no cuenta en la espera. {then}")


def _left(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    to = masked(token.via, token.destination)
    arrived = message.state == State.DELIVERED
    when = message.delivered_at if arrived else message.sent_at
    what = f"El código se entregó a {to} el {_at(when)}" if arrived else f"El código salió hacia {to} el {_at(when)}"
    if arrived and message.events.filter(state=State.UNDELIVERED).exists():
        what += ", aunque antes el proveedor informó que no pudo entregarlo,"
    if token.outcome == Outcome.PENDING and not token.is_expired(at=at):
        left = (token.expires_at - at) // timedelta(seconds=1)
        return Diagnosis(Why.NOT_ENTERED, f"{what} y aún vale {_seconds(left)}.", "Puede ingresarlo ahora.")
    return Diagnosis(Why.NOT_ENTERED, f"{what} y no se ingresó.", then)


def _taken_back(token: VerificationToken, message: Message, then: str, at: datetime) -> Diagnosis:
    return Diagnosis(Why.CANCELLED, "El mensaje se anuló antes de salir.", then)


_BY_STATE: dict[State, Callable[[VerificationToken, Message, str, datetime], Diagnosis]] = {
    State.QUEUED: _waiting_to_leave,
    State.SENDING: _waiting_to_leave,
    State.SENT: _left,
    State.DELIVERED: _left,
    State.UNDELIVERED: _not_delivered,
    State.FAILED: _refused,
    State.UNKNOWN: _unclear,
    State.EXPIRED: _never_left,
    State.CANCELLED: _taken_back,
}


def _registered(person: Person) -> Diagnosis:
    row = person.external[0]
    return Diagnosis(
        Why.REGISTERED,
        f"{row.partner} lo registró el {_at(row.created_at)} como {row.client_id}.",
        "El registro externo no envía mensajes.",
    )


def _at(moment: datetime | None) -> str:
    return localtime(moment).strftime("%d/%m/%Y a las %H:%M:%S") if moment else "—"


def _what(token: VerificationToken) -> str:
    return "el correo" if token.via == Via.EMAIL else "el número"


def _seconds(number: int) -> str:
    return "1 segundo" if number == 1 else f"{number} segundos"


def _times(number: int) -> str:
    return "1 vez" if number == 1 else f"{number} veces"
