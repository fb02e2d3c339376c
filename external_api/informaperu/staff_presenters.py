"""Presenters of the staff API. Never a code: neither its HMAC nor its seal is named here, and a text holds the mask.

A masked row has its destinations masked, and the texts that repeat them, as at the desk; documents and names are not.
"""

from datetime import datetime
from typing import Any

from clients.identity.phones import mask_email
from clients.models import Applicant
from external_api.informaperu.presenters import lima
from external_api.informaperu.staff_rights import Visibility
from messaging.masking import masked, masked_in
from messaging.models import Message, MessageEvent
from tokens.models import VerificationToken


def client_row(applicant: Applicant, visibility: Visibility) -> dict[str, Any]:
    return {
        "id": str(applicant.pk),
        "empresa": applicant.partner.slug if applicant.partner else None,
        "tipo_documento": applicant.document_type,
        "documento": applicant.document_number,
        "digito_verificador": applicant.check_character,
        "nombres": applicant.names,
        "apellido_paterno": applicant.paternal_surname,
        "apellido_materno": applicant.maternal_surname,
        "correo": applicant.email if visibility is Visibility.FULL else mask_email(applicant.email),
        "departamento": applicant.department,
        "provincia": applicant.province,
        "distrito": applicant.district,
        "estado": applicant.state,
        "via_validada": applicant.proved_via or None,
        "destino_validado": _destination(applicant.proved_via, applicant.proved_destination, visibility) or None,
        "operador": applicant.proved_operator or None,
        "bloqueado": _moment(applicant.locked_at),
        "creado": lima(applicant.created_at),
        "actualizado": lima(applicant.updated_at),
        "validado": _moment(applicant.validated_at),
    }


def client_detail(applicant: Applicant, visibility: Visibility, tokens: list[dict[str, Any]] | None) -> dict[str, Any]:
    """The client, with its codes if the user may see them."""
    shown = {**client_row(applicant, visibility), "codigos_errados_seguidos": applicant.wrong_codes_in_a_row}
    return shown if tokens is None else {**shown, "tokens": tokens}


def codes_with_messages(
    tokens: list[VerificationToken], messages: list[Message], *, of_tokens: Visibility, of_messages: Visibility
) -> list[dict[str, Any]]:
    """The codes in their order, each with its messages and their events, if the user may see those."""
    by_token: dict[Any, list[dict[str, Any]]] = {token.pk: [] for token in tokens}
    for message in messages:
        text = message.text if of_messages is Visibility.FULL else None
        by_token[message.reference].append({**message_row(message, of_messages), "texto": text})
    rows = [token_row(token, of_tokens) for token in tokens]
    if of_messages is Visibility.NONE:
        return rows
    return [{**row, "mensajes": by_token[token.pk]} for row, token in zip(rows, tokens, strict=True)]


def token_row(token: VerificationToken, visibility: Visibility) -> dict[str, Any]:
    return {
        "id": str(token.pk),
        "via": token.via,
        "destino": _destination(token.via, token.destination, visibility),
        "operador": token.operator or None,
        "resultado": token.outcome,
        "intentos_errados": token.wrong_tries,
        "creado": lima(token.created_at),
        "vence": lima(token.expires_at),
        "cerrado": _moment(token.finished_at),
        "intento_devuelto": _moment(token.returned_at),
        "intento_cliente": token.client_attempt,
        "espera_cliente_segundos": int(token.client_wait.total_seconds()),
        "intento_destino": token.destination_attempt,
        "espera_destino_segundos": int(token.destination_wait.total_seconds()),
    }


def message_row(message: Message, visibility: Visibility) -> dict[str, Any]:
    """A message and its events, oldest first; the caller prefetches them."""

    def reply_text(reply: str) -> str | None:
        return (reply if visibility is Visibility.FULL else masked_in(reply, message.via, message.recipient)) or None

    return {
        "id": str(message.pk),
        "empresa": message.partner.slug if message.partner else None,
        "tipo": message.kind,
        "via": message.via,
        "destino": _destination(message.via, message.recipient, visibility),
        "asunto": message.subject,
        "estado": message.state,
        "intentos": message.attempts,
        "token": str(message.reference) if message.reference else None,
        "id_solicitud": message.request_id,
        "proveedor": message.provider or None,
        "id_proveedor": message.provider_id or None,
        "respuesta_proveedor": reply_text(message.provider_reply),
        "creado": lima(message.created_at),
        "enviar_antes_de": _moment(message.send_before),
        "enviado": _moment(message.sent_at),
        "entregado": _moment(message.delivered_at),
        "eventos": [
            _event(event, reply_text(event.detail))
            for event in sorted(message.events.all(), key=lambda event: (event.at, event.pk))
        ],
    }


def _event(event: MessageEvent, detail: str | None) -> dict[str, Any]:
    return {
        "fecha": lima(event.at),
        "estado": event.state,
        "intento": event.attempt,
        "proveedor": event.provider or None,
        "detalle": detail,
    }


def _destination(via: str, destination: str, visibility: Visibility) -> str:
    if visibility is Visibility.FULL or not destination:
        return destination
    return masked(via, destination)


def _moment(moment: datetime | None) -> str | None:
    return lima(moment) if moment else None
