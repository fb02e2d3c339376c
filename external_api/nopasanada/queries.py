"""Queries of contract 1, as SQL that makes the JSON itself: a million rows pass without one Python object each."""

import re
from datetime import date, datetime, timedelta
from typing import Any

from clients.local_time import midnight
from clients.models import Partner
from external_api.frontdoor.exports import Export
from external_api.nopasanada.contract import WrongDate

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_STAMP = "to_char({} AT TIME ZONE 'America/Lima', 'YYYY-MM-DD HH24:MI:SS.US')"

CLIENTS = f"""
    SELECT json_build_object(
        'celular', phone, 'codigo_cliente', external_code, 'correo', email, 'id_solicitud', request_id,
        'nombre', name, 'numero_documento', document_number, 'perfil', profile,
        'timestamp_creado', {_STAMP.format("created_at")}, 'tipo_documento', document_type,
        'suscrito', subscribed_at IS NOT NULL AND unsubscribed_at IS NULL)
    FROM clients_authorizedclient
    WHERE partner_id = %s AND deauthorized_at IS NULL AND (%s::text[] IS NULL OR email = ANY(%s))
    ORDER BY id
"""  # noqa: S608  both made of this module's constants

ANSWERED = "coalesce(sent_at, handed_over_at)"
"""Time when the provider was asked or answered: a rejected message was never sent, but handed over."""

MESSAGES = f"""
    SELECT json_build_object(
        'direccion_correo', recipient, 'timestamp_envio', {_STAMP.format(ANSWERED)},
        'respuesta_mensaje', CASE WHEN state IN ('SENT', 'DELIVERED') THEN 'ok' ELSE 'error' END,
        'asunto', subject, 'tipo_mensaje', kind)
    FROM messaging_message
    WHERE partner_id = %s AND kind IN ('boletin', 'alerta')
      AND state IN ('SENT', 'DELIVERED', 'UNDELIVERED', 'FAILED')
      AND {ANSWERED} >= %s AND {ANSWERED} < %s AND (%s::text[] IS NULL OR recipient = ANY(%s)) AND recipient <> ''
    ORDER BY {ANSWERED}, id
"""  # noqa: S608  only this module's constants are put in
"""Without messages whose recipient was erased (KEEP_MESSAGES_DAYS)."""


def clients(partner: Partner, emails: list[str] | None) -> Export:
    return Export(CLIENTS, [partner.pk, emails, emails], owner=str(partner.pk))


def messages(partner: Partner, days: tuple[datetime, datetime], emails: list[str] | None) -> Export:
    return Export(MESSAGES, [partner.pk, *days, emails, emails], owner=str(partner.pk))


def whole_days(since: Any, until: Any) -> tuple[datetime, datetime]:
    """Whole Lima days, both included; a missing one is no limit. Raises WrongDate."""
    first = _day(since) or date(1, 1, 2)
    last = _day(until) or date(9999, 12, 30)
    if first > last:
        raise WrongDate
    return midnight(first), midnight(last + timedelta(days=1))


def _day(value: Any) -> date | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise WrongDate
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise WrongDate from None
    return min(max(day, date(1, 1, 2)), date(9999, 12, 30))
