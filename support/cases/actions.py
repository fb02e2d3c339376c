"""Actions of an agent for a person. Each needs a reason and is audited with user, time and address."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from clients.authorized_clients import deauthorize
from clients.errors import Refused
from clients.models import Applicant, AuthorizedClient, audit
from clients.twins import scope_of
from messaging import caps
from messaging.models import Via
from support.cases.person_search import Person, latest_code
from tokens import cooldown_overrides, cooldown_queries, services
from tokens.cooldown import format_wait
from tokens.errors import CooldownActive, NoPendingToken, ViaNotAvailable
from tokens.models import VerificationToken
from tokens.services import Origin


class CannotBeDone(Exception):
    """Action that makes no sense now. The text is Spanish, for the agent."""


@dataclass(frozen=True)
class Agent:
    """Agent with reason, time and address of the action."""

    by: str
    reason: str
    at: datetime
    address: str
    may_forgive_often: bool = False


@dataclass(frozen=True)
class Act:
    """An act that makes sense for a person now: the last part of its URL, its label, and a value that it sends."""

    slug: str
    label: str
    name: str = ""
    value: str = ""
    is_danger: bool = False


def applicable(person: Person, *, at: datetime) -> list[Act]:
    """Acts that would be done now. Each act decides again when it is asked for: the case may have changed since."""
    token = latest_code(person)
    found = [*_forgivable(token, at=at)]
    if any(each.locked_at is not None for each in person.applicants):
        found.append(Act("desbloquear", "Desbloquear"))
    if token is not None and token.outcome == VerificationToken.Outcome.PENDING and not token.is_expired(at=at):
        found.append(Act("cancelar", "Cancelar código"))
    found += _resendable(person, token, at=at)
    found += [
        Act("baja", f"Dar de baja de {each.partner}", "autorizado", str(each.pk), is_danger=True)
        for each in person.authorized
        if each.deauthorized_at is None
    ]
    return found


def _forgivable(token: VerificationToken | None, *, at: datetime) -> Iterator[Act]:
    if token is None or not _may_get_a_code(token.applicant) or not settings.AVAL_GATEWAYS[token.via]:
        return
    ladders = cooldown_queries.read(token.applicant_id, token.via, token.destination, twin=token.twin_id, at=at)
    if ladders.applying.attempts_24h or ladders.applying.available_at:
        yield Act("perdonar", "Perdonar espera")


def _resendable(person: Person, token: VerificationToken | None, *, at: datetime) -> Iterator[Act]:
    """Vias with a gateway and a destination. One that must wait is offered too: the wait may end in a moment."""
    if not person.applicants:
        return
    applicant, phone = _applicant(person), _last_phone(token)
    if not _may_get_a_code(applicant):
        return
    for via in Via:
        destination = applicant.email if via == Via.EMAIL else phone
        if destination and settings.AVAL_GATEWAYS[via]:
            twin = scope_of(applicant.partner_id)
            ladder = cooldown_queries.read(applicant.pk, via, destination, twin=twin, at=at).applying
            wait = f" (espera {format_wait(ladder.remaining(at=at))})" if ladder.available_at else ""
            yield Act("reenviar", f"Reenviar por {via.label}{wait}", "via", via.value)


def _may_get_a_code(applicant: Applicant) -> bool:
    return not applicant.is_validated and applicant.locked_at is None


def _last_phone(token: VerificationToken | None) -> str:
    return token.destination if token is not None and token.via != Via.EMAIL else ""


def forgive(person: Person, agent: Agent) -> str:
    """Forgive the wait: earlier requests by the via of the last code no longer count."""
    token = latest_code(person)
    if token is None:
        raise CannotBeDone("Nunca pidió un código: no hay espera que perdonar.")
    try:
        if not settings.AVAL_GATEWAYS[token.via]:
            raise ViaNotAvailable
        cooldown_overrides.forgive(
            token.applicant,
            token.via,
            by=agent.by,
            reason=agent.reason,
            at=agent.at,
            address=agent.address,
            may_exceed=agent.may_forgive_often,
        )
    except cooldown_overrides.ForgivenTooOften:
        raise CannotBeDone(
            f"La espera de este destino ya se perdonó {cooldown_overrides.MAX_FORGIVEN_A_DAY} veces hoy. Perdonarla"
            " otra vez le corresponde al rol Operaciones: pídaselo a quien lo tenga."
        ) from None
    except Refused as refusal:
        raise CannotBeDone(_why_not(refusal, agent)) from None
    return f"Espera perdonada: puede pedir otro código por {token.get_via_display()} ahora."


def unlock(person: Person, agent: Agent) -> str:
    done = [
        cooldown_overrides.unlock(each, by=agent.by, reason=agent.reason, at=agent.at, address=agent.address)
        for each in person.applicants
    ]
    if not any(done):
        raise CannotBeDone("No está bloqueado.")
    return "Desbloqueado."


def cancel(person: Person, agent: Agent) -> str:
    """Cancel the live code. It keeps its rung."""
    applicant = _applicant(person)
    try:
        with transaction.atomic():
            audit(applicant, "code.cancelled", at=agent.at, by=agent.by, reason=agent.reason, address=agent.address)
            services.cancel(applicant.pk, origin=Origin(applicant.partner), at=agent.at)
    except NoPendingToken:
        raise CannotBeDone("No hay un código vigente.") from None
    return "Código cancelado."


def resend(person: Person, via: str, agent: Agent) -> str:
    """Send a new code by another via, to the last phone or the mailbox. The ladder holds for agents too."""
    applicant = _applicant(person)
    token = latest_code(person)
    phone = _last_phone(token)
    if via != Via.EMAIL and not phone:
        raise CannotBeDone("Nunca dio un celular: solo puede ir a su correo.")
    operator = token.operator if token is not None and via != Via.EMAIL else ""
    put_back = _reserve(applicant, via, at=agent.at)
    try:
        with transaction.atomic():
            audit(
                applicant, "code.resent", at=agent.at, by=agent.by, reason=agent.reason, address=agent.address, via=via
            )
            services.request(
                applicant.pk,
                via=via,
                phone=phone if via != Via.EMAIL else "",
                operator=operator,
                origin=Origin(applicant.partner),
                at=agent.at,
            )
    except Refused as refusal:
        put_back()
        raise CannotBeDone(_why_not(refusal, agent)) from None
    except Exception:
        put_back()
        raise
    return f"Código nuevo en camino por {Via(via).label}."


def _reserve(applicant: Applicant, via: str, *, at: datetime) -> Callable[[], None]:
    """Reserve a message of the daily cap: the partner's, or the desk's for clients without a partner."""
    partner = applicant.partner
    caller = caps.key_of_partner(partner.pk) if partner else "desk"
    try:
        return caps.reserve(via, caller=caller, partner=partner, at=at)
    except caps.CapReached:
        raise CannotBeDone("Se alcanzó el tope de mensajes de hoy: no sale otro por esta vía hasta mañana.") from None


def _why_not(refusal: Refused, agent: Agent) -> str:
    if isinstance(refusal, CooldownActive):
        left = format_wait(refusal.state.remaining(at=agent.at))
        return f"Debe esperar {left}, o perdone la espera primero."
    if isinstance(refusal, ViaNotAvailable):
        return "Esa vía no está disponible."
    return _REFUSED.get(type(refusal).__name__, "No se puede ahora.")


def deauthorize_from(client: AuthorizedClient, agent: Agent) -> str:
    """Deauthorise the client from a partner, on the client's own word (contract 1, baja)."""
    with transaction.atomic():
        ended = deauthorize(client.partner, [client.email], at=agent.at)
        if not ended:
            raise CannotBeDone("Ya no está autorizado.")
        audit(client, "client.deauthorized", at=agent.at, by=agent.by, reason=agent.reason, address=agent.address)
    return f"Dado de baja de {client.partner}."


def unmask(person: Person, agent: Agent) -> dict[str, list[str]]:
    """Audit that mailbox and phones are shown in full."""
    row = next(iter((*person.applicants, *person.authorized, *person.external)), None)
    if row is None:
        raise CannotBeDone("No hay a quién mostrar.")
    audit(row, "recipient.unmasked", at=agent.at, by=agent.by, reason=agent.reason, address=agent.address)
    phones = {each.phone for each in person.authorized if each.phone} | {each.phone for each in person.external}
    phones |= {each.proved_destination for each in person.applicants if each.proved_via not in ("", Via.EMAIL)}
    token = latest_code(person)
    if token is not None and token.via != Via.EMAIL:
        phones.add(token.destination)
    return {"correos": person.emails, "teléfonos": sorted(phones)}


def _applicant(person: Person) -> Applicant:
    token = latest_code(person)
    if token is not None:
        return token.applicant
    if not person.applicants:
        raise CannotBeDone("No está registrado para recibir códigos.")
    return person.applicants[0]


_REFUSED = {
    "ApplicantAlreadyValidated": "Ya está verificado.",
    "ApplicantLocked": "Está bloqueado: desbloquéelo primero.",
}
