"""Actions of an agent for a person. Each needs a reason and is audited with user, time and address."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from clients.authorized_clients import deauthorize
from clients.errors import Refused
from clients.models import Applicant, AuthorizedClient, audit
from messaging import caps
from messaging.models import Via
from support.cases.person_search import Person, latest_code
from tokens import cooldown_overrides, services
from tokens.cooldown import format_wait
from tokens.errors import CooldownActive, NoPendingToken, ViaNotAvailable
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


def forgive(person: Person, agent: Agent) -> str:
    """Forgive the wait: earlier requests by the via of the last code no longer count."""
    token = latest_code(person)
    if token is None:
        raise CannotBeDone("Nunca pidió un código: no hay espera que perdonar.")
    try:
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
    phone = token.destination if token is not None and token.via != Via.EMAIL else ""
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
