"""What became of a client's bulletins, for the diagnosis: the last one, and a suppression of the mailbox."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.timezone import localtime

from clients.models import AuthorizedClient
from messaging.masking import masked, masked_in
from messaging.models import Message, Suppression, Via
from messaging.suppression import listing

Reason = Suppression.Reason
State = Message.State

_RECENT = 5
"""Messages looked at: those that a newer campaign has only queued tell nothing yet."""


@dataclass(frozen=True)
class Last:
    """The last bulletin or alert that was tried: what became of it, and what to do."""

    was_refused: bool
    sentence: str
    next_step: str


def last_to(client: AuthorizedClient) -> Last | None:
    """The last bulletin or alert of the client's company to its mailbox that a provider was asked to send."""
    kinds = [Message.Kind.BULLETIN, Message.Kind.ALERT]
    mine = Message.objects.filter(recipient=client.email, via=Via.EMAIL, kind__in=kinds, authorized_client=client)
    for message in mine.defer("text", "html", "sealed").order_by("-created_at")[:_RECENT]:
        found = _said(message)
        if found is not None:
            return found
    return None


def _said(message: Message) -> Last | None:
    what = f"El último mensaje ({message.get_kind_display().lower()} «{message.subject}»)"
    reply = masked_in(message.provider_reply, message.via, message.recipient) or "sin motivo"
    match message.state:
        case State.FAILED:
            return Last(
                True,
                f"{what} fue rechazado el {_at(message.handed_over_at or message.created_at)}: {reply}.",
                "Confirme el correo con el cliente; si cambió, la empresa debe autorizar el nuevo.",
            )
        case State.UNDELIVERED:
            event = message.events.filter(state=State.UNDELIVERED).order_by("-at").first()
            reason = masked_in(event.detail if event else "", message.via, message.recipient)
            return Last(
                True,
                f"{what} salió el {_at(message.sent_at)} y no se pudo entregar: {reason or 'no se dice por qué'}.",
                "Confirme el correo con el cliente; si cambió, la empresa debe autorizar el nuevo.",
            )
        case State.UNKNOWN:
            sentence = f"{what} puede haber salido o no: el proveedor no dio una respuesta clara."
            return Last(False, sentence, "Pídale que mire en su correo no deseado.")
        case State.DELIVERED:
            return Last(
                False,
                f"{what} se entregó el {_at(message.delivered_at)}.",
                "Pídale que mire en su correo no deseado y en otras pestañas, como Promociones.",
            )
        case State.SENT:
            sentence = f"{what} salió el {_at(message.sent_at)}; su servidor de correo lo recibió."
            return Last(False, sentence, "Pídale que mire en su correo no deseado.")
    return _on_its_way(message, what, reply) if message.attempts else None


def _on_its_way(message: Message, what: str, reply: str) -> Last | None:
    """A message that was refused for now and waits for its next attempt."""
    if message.state not in (State.QUEUED, State.SENDING) or not message.provider_reply:
        return None
    return Last(
        True,
        f"{what} todavía no se pudo entregar: {reply}.",
        f"Se intentará otra vez el {_at(message.next_attempt_at)}; si el buzón está lleno, que borre correos.",
    )


def suppressed(client: AuthorizedClient) -> tuple[str, str] | None:
    """Sentence and next step where the mailbox gets no bulletins of the client's company. None: it gets them."""
    for entry in listing.live(client.email):
        if entry.partner_id in (None, client.partner_id):
            return _of_entry(entry, client)
    return None


def _of_entry(entry: Suppression, client: AuthorizedClient) -> tuple[str, str]:
    to = masked(Via.EMAIL, client.email)
    evidence = masked_in(entry.evidence, Via.EMAIL, client.email) or "sin detalle"
    whose = f"de {client.partner}" if entry.partner_id else "de ninguna empresa"
    match entry.reason:
        case Reason.HARD_BOUNCE:
            return (
                f"No recibe boletines: {to} devolvió un correo el {_at(entry.last_at)} ({evidence}).",
                "Confirme el correo con el cliente. Si es correcto y ya recibe, que pida el enlace en la página de"
                " suscripción: al confirmarlo se le vuelve a enviar.",
            )
        case Reason.COMPLAINT:
            return (
                f"No recibe boletines {whose}: el {_at(entry.last_at)} marcó un mensaje como correo no deseado.",
                "Si los quiere otra vez, debe pedir el enlace en la página de suscripción y confirmarlo.",
            )
    return (
        f"No recibe boletines {whose}: {entry.created_by or 'el personal'} lo pidió el {_at(entry.created_at)}"
        f" ({evidence}).",
        "Solo quien administra los mensajes puede levantarlo, en «Buzones sin envío».",
    )


def code_stopped(mailbox: str, then: str, *, at: datetime) -> tuple[str, str]:
    """Sentence and next step for a code that was not sent because its mailbox had bounced."""
    to = masked(Via.EMAIL, mailbox)
    bounce = listing.live(mailbox).filter(reason=Reason.HARD_BOUNCE).first()
    if bounce is None:
        return f"El código no se envió: {to} había devuelto un correo. Ya no está suspendido.", then
    evidence = masked_in(bounce.evidence, Via.EMAIL, mailbox) or "sin detalle"
    again = bounce.last_at + listing.CODES_STOPPED_FOR
    when = f"Al mismo correo se intenta otra vez desde el {_at(again)}." if again > at else ""
    return (
        f"El código no se envió: {to} devolvió un correo el {_at(bounce.last_at)} ({evidence}).",
        " ".join(part for part in ("Confirme el correo con el cliente o pruebe por otra vía.", when, then) if part),
    )


def _at(moment: datetime | None) -> str:
    return localtime(moment).strftime("%d/%m/%Y a las %H:%M:%S") if moment else "—"
