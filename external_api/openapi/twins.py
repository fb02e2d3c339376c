"""Test twin in the document: test keys, and the routes that only they open."""

from collections.abc import Sequence
from typing import Any

from clients.errors import Refused
from clients.twins import TooManyTestKeys, TwinHasNoTwin
from external_api.frontdoor import errors
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.informaperu_shapes import VIA
from external_api.openapi.operations import Operation, Success, in_query
from external_api.openapi.partners import KEPT, MOMENT, NO_FIELDS, UNKNOWN_FIELD, operation, written
from external_api.openapi.shapes import Schema, answered, listed, text
from external_api.partners.contract import TestKeyRequired
from external_api.partners.twin_views import MOST_MESSAGES, ClockView, OutboxView, ResetView, TestKeysView

TAG = "Pruebas"
_KEYS: Schema = Named(
    "CredencialesDePrueba",
    answered(
        {
            "token": text("Token opaco de prueba.", pattern="^test[A-Za-z0-9]{28}$"),
            "jwt": text("JWT de prueba, que vence en 365 días."),
        }
    ),
)
_SHOWN_KEYS = {
    "token": "test7Kq2mW9xTb4RzN1cVf6HsJ0yLd5P",
    "jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiI.Vq3",
}
_ADVANCE = written(
    "AvanceDelReloj",
    {"advance": text("Duración ISO 8601 de días, horas, minutos y segundos, hasta 30 días.", examples=["PT4H"])},
    "advance",
)
_ADVANCED: Schema = Named("RelojAvanzado", answered({"advanced_seconds": shapes.COUNT}))
_REMOVED: Schema = Named(
    "DatosBorrados", answered({"removed": shapes.described(shapes.COUNT, "Cuántas filas se borraron.")})
)
_OUTBOX: Schema = Named(
    "BuzonDePruebas",
    answered(
        {
            "messages": listed(
                Named(
                    "MensajeDePrueba",
                    answered(
                        {
                            "id": shapes.UUID,
                            "via": VIA,
                            "to": text("El celular o el correo."),
                            "text": text("El texto, con su código."),
                            "created": MOMENT,
                        }
                    ),
                ),
                "El más nuevo primero.",
                maxItems=MOST_MESSAGES,
            )
        }
    ),
)
_SHOWN_OUTBOX: dict[str, Any] = {
    "messages": [
        {
            "id": "01a226c4-68fa-7257-bd4a-8bf20a4aca44",
            "via": "S",
            "to": "987654000",
            "text": "Aval: tu clave es A1B2. Vence en 2 min 30 s. No la compartas con nadie.",
            "created": "2026-11-29T15:04:05.123456Z",
        }
    ]
}


def _writing(
    id: str,
    summary: str,
    description: str,
    success: Success,
    *,
    status: int = 200,
    errors_: Sequence[Refused],
    body: Schema = NO_FIELDS,
    example: dict[str, Any] | None = None,
) -> Operation:
    return operation(
        id,
        summary,
        description,
        success,
        status=status,
        errors_=errors_,
        allow=("POST",),
        tag=TAG,
        body=body,
        body_examples={"ejemplo": example or {}},
        body_required=body is not NO_FIELDS,
        idempotent=True,
    )


TEST_KEYS = _writing(
    "emitirCredencialesDePrueba",
    "Emitir credenciales de prueba",
    "Con una credencial de producción. Emite un token opaco y un JWT de la empresa de prueba, que se muestran una sola "
    "vez. Con ellos funcionan los tres contratos y esta API, y nada llega a un cliente.",
    Success("Las credenciales.", _KEYS, {"nuevas": _SHOWN_KEYS}, KEPT),
    status=201,
    errors_=[TwinHasNoTwin(), TooManyTestKeys(), UNKNOWN_FIELD],
)
CLOCK = _writing(
    "adelantarRelojDePrueba",
    "Adelantar el reloj de los datos de prueba",
    "Con una credencial de prueba. Todo lo que hay en la empresa de prueba queda tanto más viejo como se pide, y se "
    "hace lo que el tiempo habría hecho: vencen códigos y mensajes, terminan esperas, llegan acuses atrasados.",
    Success("El reloj avanzó.", _ADVANCED, {"horas": {"advanced_seconds": 14_400}}, KEPT),
    errors_=[TestKeyRequired(), errors.InvalidFields({"advance": ["Debe ser una duración ISO 8601, como PT4H."]})],
    body=_ADVANCE,
    example={"advance": "PT4H"},
)
RESET = _writing(
    "vaciarDatosDePrueba",
    "Vaciar los datos de prueba",
    "Con una credencial de prueba. Borra los clientes, códigos y mensajes de la empresa de prueba y su buzón. Las "
    "credenciales y los eventos quedan.",
    Success("Quedó vacía.", _REMOVED, {"vacia": {"removed": 128}}, KEPT),
    errors_=[TestKeyRequired(), UNKNOWN_FIELD],
)
OUTBOX = operation(
    "buzonDePrueba",
    "Leer el buzón de pruebas",
    "Con una credencial de prueba. Los mensajes que habrían recibido los clientes de prueba, con su código: los "
    f"{MOST_MESSAGES} más nuevos.",
    Success("Los mensajes.", _OUTBOX, {"codigo": _SHOWN_OUTBOX}, KEPT),
    parameters=[in_query("to", "Solo los de este celular o correo.", shapes.STRING)],
    errors_=[TestKeyRequired(), errors.InvalidFields({"to": ["No debe repetirse."]})],
    tag=TAG,
)
OPERATIONS = {TestKeysView: TEST_KEYS, ClockView: CLOCK, ResetView: RESET, OutboxView: OUTBOX}
