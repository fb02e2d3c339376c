"""What the staff API shows. Never a code: neither its HMAC nor its seal is named here, and a text holds the mask."""

from datetime import datetime
from typing import Any

from clients.models import Applicant
from external_api.informaperu.presenters import lima
from messaging.models import Message, MessageEvent
from tokens.models import VerificationToken


def client_row(applicant: Applicant) -> dict[str, Any]:
    return {
        "id": str(applicant.pk),
        "empresa": applicant.partner.slug if applicant.partner else None,
        "tipo_documento": applicant.document_type,
        "documento": applicant.document_number,
        "digito_verificador": applicant.check_character,
        "nombres": applicant.names,
        "apellido_paterno": applicant.paternal_surname,
        "apellido_materno": applicant.maternal_surname,
        "correo": applicant.email,
        "departamento": applicant.department,
        "provincia": applicant.province,
        "distrito": applicant.district,
        "estado": applicant.state,
        "via_validada": applicant.proved_via or None,
        "destino_validado": applicant.proved_destination or None,
        "operador": applicant.proved_operator or None,
        "bloqueado": _moment(applicant.locked_at),
        "creado": lima(applicant.created_at),
        "actualizado": lima(applicant.updated_at),
        "validado": _moment(applicant.validated_at),
    }


def client_detail(applicant: Applicant, tokens: list[VerificationToken], messages: list[Message]) -> dict[str, Any]:
    """The client, its codes newest first, and each code's messages with what happened to them."""
    by_token: dict[Any, list[dict[str, Any]]] = {token.pk: [] for token in tokens}
    for message in messages:
        by_token[message.reference].append({**message_row(message), "texto": message.text})
    return {
        **client_row(applicant),
        "codigos_errados_seguidos": applicant.wrong_codes_in_a_row,
        "tokens": [{**token_row(token), "mensajes": by_token[token.pk]} for token in tokens],
    }


def token_row(token: VerificationToken) -> dict[str, Any]:
    return {
        "id": str(token.pk),
        "via": token.via,
        "destino": token.destination,
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


def message_row(message: Message) -> dict[str, Any]:
    """A message and its events, oldest first; they are to be prefetched."""
    return {
        "id": str(message.pk),
        "empresa": message.partner.slug if message.partner else None,
        "tipo": message.kind,
        "via": message.via,
        "destino": message.recipient,
        "asunto": message.subject,
        "estado": message.state,
        "intentos": message.attempts,
        "token": str(message.reference) if message.reference else None,
        "id_solicitud": message.request_id,
        "proveedor": message.provider or None,
        "id_proveedor": message.provider_id or None,
        "respuesta_proveedor": message.provider_reply or None,
        "creado": lima(message.created_at),
        "enviar_antes_de": _moment(message.send_before),
        "enviado": _moment(message.sent_at),
        "entregado": _moment(message.delivered_at),
        "eventos": [_event(event) for event in sorted(message.events.all(), key=lambda event: (event.at, event.pk))],
    }


def _event(event: MessageEvent) -> dict[str, Any]:
    return {
        "fecha": lima(event.at),
        "estado": event.state,
        "intento": event.attempt,
        "proveedor": event.provider or None,
        "detalle": event.detail or None,
    }


def _moment(moment: datetime | None) -> str | None:
    return lima(moment) if moment else None
