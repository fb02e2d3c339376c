"""Spanish keys of the personal data export."""

from typing import Any

EXTERNAL_CLIENT_KEYS = {
    "id": "id",
    "partner": "empresa",
    "client_id": "codigo_en_la_empresa",
    "cui": "cui",
    "first_name": "nombres",
    "last_name": "apellidos",
    "phone": "telefono",
    "product_key": "clave_del_producto",
    "product_id": "id_del_producto",
    "origin": "origen",
    "data_points": "otros_datos",
    "created_at": "registrado_el",
    "updated_at": "actualizado_el",
}
"""Column of an external client -> its name in the export."""

_DATA_KEYS = {
    "changes": "cambios",
    "field": "campo",
    "before": "antes",
    "after": "despues",
    "key": "dato",
    "request": "solicitud",
    "credential": "credencial",
    "taken": "borrado",
    "case": "caso",
    "client_id": "cliente",
    "via": "via",
    "to": "destino",
    "message_id": "mensaje",
    "kind": "tipo",
    "outcome": "resultado",
    "reason": "motivo",
    "expires_at": "vence_el",
    "id_solicitud": "numero_de_solicitud",
}

SUPPRESSION_KEYS = {
    "mailbox": "correo",
    "partner": "empresa",
    "reason": "motivo",
    "evidence": "prueba",
    "message_id": "mensaje",
    "created_at": "desde",
    "last_at": "ultima_vez",
    "lifted_at": "termino_el",
    "lifted_because": "por_que_termino",
}
"""Columns of the suppression list."""


def spanish_data(data: Any) -> Any:
    """The data of an audit entry or of an event with Spanish keys."""
    if isinstance(data, dict):
        return {
            _DATA_KEYS.get(key, key): EXTERNAL_CLIENT_KEYS.get(value, value) if key == "field" else spanish_data(value)
            for key, value in data.items()
        }
    return [spanish_data(each) for each in data] if isinstance(data, list) else data
