"""Display of audit entries: actions in Spanish, and each changed field with its label, before and after."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import BooleanField, DateTimeField, Field
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst

from clients.local_time import display
from clients.models import AuditEntry

SHOWN = 50
"""Entries shown in the history of a row. The audit has all of them."""

ACTION_NAMES = {
    "partner.created": "Empresa creada",
    "partner.changed": "Empresa modificada",
    "partner.deleted": "Empresa borrada",
    "credential.issued": "Credencial emitida",
    "credential.rotated": "Credencial rotada",
    "credential.revoked": "Credencial revocada",
    "user.created": "Usuario creado",
    "user.changed": "Usuario modificado",
    "user.deleted": "Usuario borrado",
    "user.password_changed": "Contraseña cambiada",
    "user.reset_asked": "Enlace para una contraseña nueva pedido",
    "user.password_reset": "Contraseña cambiada por un enlace",
    "group.created": "Rol creado",
    "group.changed": "Rol modificado",
    "group.deleted": "Rol borrado",
    "webhook.created": "Webhook creado",
    "webhook.changed": "Webhook modificado",
    "webhook.deleted": "Webhook borrado",
    "webhook.paused": "Webhook en pausa",
    "webhook.woken": "Webhook reanudado",
    "webhook.rotated": "Secreto del webhook rotado",
    "webhook.replayed": "Entregas del webhook reenviadas",
    "staff.logged_in": "Ingreso",
    "staff.logged_out": "Salida",
    "staff.login_failed": "Ingreso fallido",
    "staff.locked_out": "Ingreso bloqueado por intentos fallidos",
    "second_factor.enrolled": "Segundo factor activado",
    "second_factor.removed": "Segundo factor quitado",
    "second_factor.reset": "Segundo factor restablecido",
    "second_factor.codes_renewed": "Códigos de respaldo renovados",
    "second_factor.backup_code_used": "Ingreso con un código de respaldo",
    "second_factor.failed": "Código del segundo factor errado",
    "campaign.created": "Campaña creada",
    "campaign.changed": "Campaña modificada",
    "campaign.deleted": "Campaña borrada",
    "campaign.tested": "Campaña: prueba enviada",
    "campaign.draft": "Campaña devuelta a borrador",
    "campaign.scheduled": "Campaña programada",
    "campaign.sending": "Campaña reanudada",
    "campaign.paused": "Campaña en pausa",
    "campaign.cancelled": "Campaña anulada",
    "campaign.copied": "Campaña copiada",
    "suppression.added": "Buzón agregado a los que no reciben",
    "suppression.lifted": "Buzón quitado de los que no reciben",
    "provider.set_aside": "Proveedor apartado",
    "provider.restored": "Proveedor restablecido",
    "ladder.forgiven": "Espera perdonada",
    "applicant.unlocked": "Solicitante desbloqueado",
    "code.cancelled": "Código cancelado",
    "code.resent": "Código reenviado por otra vía",
    "client.deauthorized": "Cliente dado de baja",
    "recipient.unmasked": "Destino completo visto",
    "clients.imported": "Clientes importados",
    "clients.exported": "Clientes exportados",
    "messages.exported": "Mensajes exportados",
    "staff_api.queried": "Consulta por la API del personal",
    "person.exported": "Copia de sus datos entregada",
    "database.restored": "Base restaurada de un respaldo",
    "person.erased": "Datos borrados a su pedido",
    "external_client.registered": "Registrado",
    "external_client.changed": "Modificado",
}
"""Audit actions and their Spanish names. A test fails for an action without a name."""

VALUE_NAMES = {
    "bad": "filas con errores",
    "contract": "contrato",
    "credential": "credencial (id)",
    "file": "archivo",
    "filter": "filtro",
    "format": "formato",
    "good": "filas buenas",
    "kind": "tipo",
    "new": "credencial nueva (id)",
    "of": "de la campaña",
    "partner": "empresa",
    "query": "consulta",
    "recipient": "destino",
    "request": "solicitud",
    "rows": "filas",
    "shown": "mostrado",
    "slug": "código",
    "subject": "asunto",
    "usable": "con contraseña",
    "via": "vía",
}
"""Spanish names of the other values in an entry."""
CHOICES_OF = {"via": ("messaging.message", "via"), "contract": ("external_api.apirequest", "contract")}
"""Model and field whose choices name a value, for values that the row itself has no field for."""


@dataclass(frozen=True)
class Change:
    """Change of one field. None on a side that had no value."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Entry:
    audit: AuditEntry
    act: str
    changes: list[Change]

    @property
    def also(self) -> list[tuple[str, str]]:
        """The other values of an entry, with their names."""
        said = [(name, value) for name, value in self.audit.data.items() if name != "changes"]
        return [(VALUE_NAMES.get(name, name), in_words(value, self._field_of(name))) for name, value in said]

    def _field_of(self, name: str) -> Any:
        return _field(*CHOICES_OF.get(name, (self.audit.object_type, name)))


def read(entry: AuditEntry) -> Entry:
    changes = entry.data.get("changes", [])
    if isinstance(changes, dict):  # older entries have the new values only
        changes = [{"field": name, "after": value} for name, value in changes.items()]
    return Entry(
        entry, ACTION_NAMES.get(entry.action, entry.action), [_change(each, entry.object_type) for each in changes]
    )


def history_of(label: str, key: str) -> list[Entry]:
    """The newest entries about a row, newest first."""
    entries = AuditEntry.objects.filter(object_type=label, object_id=key)
    return [read(entry) for entry in entries.order_by("-at", "-id")[:SHOWN]]


def in_words(value: Any, field: Any = None) -> str:
    """A JSON value of any type as text for staff."""
    if value is None:
        return "nulo"
    if isinstance(value, bool):
        return "sí" if value else "no"
    if isinstance(value, list):
        return ", ".join(in_words(each, getattr(field, "base_field", None)) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {in_words(each)}" for name, each in value.items())
    choices = dict(field.flatchoices) if isinstance(field, Field) and field.choices else {}
    if isinstance(field, DateTimeField):
        parsed = _moment(value)
        return moment(parsed) if parsed else str(value)
    return str(choices.get(value, value))


def _moment(text: Any) -> datetime | None:
    try:
        return parse_datetime(str(text))
    except ValueError:
        return None


def _change(change: dict[str, Any], label: str) -> Change:
    name = str(change["field"])
    field = _field(label, name)
    what = str(getattr(field, "verbose_name", name))
    if "key" in change:
        what = f"dato «{change['key']}»"
    elif name == "data_points":
        what = "orden de los datos"
    nothing = None if field is None or isinstance(field, BooleanField) else field
    before, after = (_side(change, side, nothing) for side in ("before", "after"))
    return Change(what, before, after)


def _side(change: dict[str, Any], side: str, field: Any) -> str | None:
    """One side of a change. For our own fields, null and empty mean no value; for a data point, null is a value."""
    if side not in change:
        return None
    value = change[side]
    if "key" not in change and value in (None, "", []):
        return None
    return in_words(value, field)


def _field(label: str, name: str) -> Any:
    try:
        return apps.get_model(label)._meta.get_field(name)
    except (LookupError, ValueError, FieldDoesNotExist):
        return None


def object_in_words(entry: AuditEntry) -> str:
    try:
        kind = str(apps.get_model(entry.object_type)._meta.verbose_name)
    except (LookupError, ValueError):
        kind = entry.object_type
    return f"{capfirst(kind)} {entry.object_id}".strip()


def acts_in_order() -> Iterable[tuple[str, str]]:
    return sorted(ACTION_NAMES.items(), key=lambda act: act[1])


def moment(value: Any) -> str:
    """`display` of a date and time, or nothing."""
    return display(value) if value else ""
