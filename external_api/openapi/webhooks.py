"""Webhooks in the document."""

from typing import Any

from clients.events.models import EventType
from external_api.frontdoor import errors
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.informaperu import path_parameter
from external_api.openapi.operations import Success, in_query
from external_api.openapi.partners import AT, KEPT, MAYBE_MOMENT, MOMENT, NO_FIELDS, UNKNOWN_FIELD, operation, written
from external_api.openapi.shapes import Schema, answered, listed, one_of_these, or_null, text
from external_api.partners.contract import NoSuchResource
from external_api.partners.webhook_presenters import DELIVERY_STATUSES, STATUSES
from external_api.partners.webhook_serializers import MOST_IDS, SETTABLE
from external_api.partners.webhook_views import (
    DeliveriesView,
    DeliveryView,
    WebhookReplayView,
    WebhookRotateView,
    WebhooksView,
    WebhookTestView,
    WebhookView,
)
from webhooks.addresses import LONGEST_URL
from webhooks.errors import TooManyEndpoints, UntriedTest
from webhooks.models import Endpoint

TAG = "Webhooks"
_ID, _DELIVERY_ID = "01a226c4-6901-7d3b-8b1f-5a7c2e9d4f60", "01a226c4-6a77-7e02-9c41-0d3b8f6a2c15"
_URL = "https://hooks.empresa.example.com/aval"
_TYPES = Named("TipoDeEvento", one_of_these(EventType.values))

_FIELDS: dict[str, Schema] = {
    "id": shapes.UUID,
    "url": shapes.STRING,
    "types": {**or_null(listed(_TYPES, "Los tipos que recibe.")), "description": "`null`: todos."},
    "description": shapes.STRING,
    "email": text("Recibe un aviso si el webhook se pausa; vacío: nadie."),
    "status": one_of_these(STATUSES.values()),
    "created_at": MOMENT,
    "last_success_at": MAYBE_MOMENT,
    "failing_since": {**MAYBE_MOMENT, "description": "Desde cuándo falla sin un éxito."},
    "paused_at": {**MAYBE_MOMENT, "description": "Desde cuándo no recibe."},
    "resumed_from": {
        **MAYBE_MOMENT,
        "description": "Momento del primer evento que se conservaba al reanudarlo, si los anteriores ya se borraron.",
    },
    "previous_secret_until": {**MAYBE_MOMENT, "description": "Hasta cuándo firma también el secreto anterior."},
}
_ENDPOINT: Schema = Named("Webhook", answered(_FIELDS))
_SECRET = text("El secreto con que se firman los envíos. Se muestra una sola vez.", pattern="^whsec_")
_WITH_SECRET: Schema = Named("WebhookConSecreto", answered({**_FIELDS, "secret": _SECRET}))
_DELIVERY: Schema = Named(
    "Entrega",
    answered(
        {
            "id": shapes.UUID,
            "event_id": {**or_null(shapes.STRING), "description": "El `id` del evento; `null` en una prueba."},
            "type": shapes.STRING,
            "status": one_of_these(DELIVERY_STATUSES.values()),
            "attempts": shapes.COUNT,
            "next_attempt_at": MAYBE_MOMENT,
            "last_attempt_at": MAYBE_MOMENT,
            "last_status": {**or_null(shapes.INTEGER), "description": "El estado HTTP de su última respuesta."},
            "last_error": {**or_null(shapes.STRING), "description": "Por qué falló el último intento."},
            "created_at": MOMENT,
            "finished_at": MAYBE_MOMENT,
        }
    ),
)
_NEW: dict[str, Schema] = {
    "url": text(
        f"Una URL https:// de un servidor de internet, de hasta {LONGEST_URL} caracteres.", maxLength=LONGEST_URL
    ),
    "types": {**or_null({"type": "array", "items": _TYPES, "minItems": 1}), "description": "`null`: todos."},
    "description": text("Para reconocerlo.", maxLength=200),
    "email": text("Recibe un aviso si el webhook se pausa.", maxLength=254),
}


_SHOWN: dict[str, Any] = {
    "id": _ID,
    "url": _URL,
    "types": None,
    "description": "Producción",
    "email": "",
    "status": "active",
    "created_at": AT,
    "last_success_at": None,
    "failing_since": None,
    "paused_at": None,
    "resumed_from": None,
    "previous_secret_until": None,
}
_SHOWN_WITH_SECRET = {**_SHOWN, "secret": "whsec_YSBzZWNyZXQgb2YgMzIgYnl0ZXMgaW4gYmFzZTY0IQ=="}
_SHOWN_DELIVERY: dict[str, Any] = {
    "id": _DELIVERY_ID,
    "event_id": "evt_77120",
    "type": "verification.sent",
    "status": "pending",
    "attempts": 1,
    "next_attempt_at": AT,
    "last_attempt_at": AT,
    "last_status": 503,
    "last_error": "HTTP 503",
    "created_at": AT,
    "finished_at": None,
}
_SHOWN_TEST = {
    **_SHOWN_DELIVERY,
    "event_id": None,
    "type": "webhook.test",
    "attempts": 0,
    "last_attempt_at": None,
    "last_status": None,
    "last_error": None,
}
_WEBHOOK = path_parameter("webhook", shapes.STRING, "El id del webhook.", _ID)
_NOT_FOUND = NoSuchResource()
_INVALID = errors.InvalidFields({"url": ["Debe comenzar con https://."]})

_WITHOUT_FIELDS: dict[str, Any] = {
    "allow": ("POST",),
    "tag": TAG,
    "body": NO_FIELDS,
    "body_examples": {"vacio": {}},
    "body_required": False,
    "idempotent": True,
}
"""Of a write whose body, if there is one, is an empty object."""

LIST = operation(
    "webhooks",
    "Sus webhooks",
    f"Hasta {Endpoint.MOST}, el más nuevo primero, sin sus secretos.",
    Success(
        "Los webhooks.",
        Named("ListaDeWebhooks", answered({"webhooks": listed(_ENDPOINT, "Los de su empresa.")})),
        {"uno": {"webhooks": [_SHOWN]}},
        KEPT,
    ),
    allow=("GET", "HEAD", "POST"),
    tag=TAG,
)
CREATE = operation(
    "nuevoWebhook",
    "Un webhook nuevo",
    "Recibe los eventos desde ahora, firmados como dice Standard Webhooks 1.0. Guarde `secret`: no se vuelve a "
    "mostrar.",
    Success("El webhook, con su secreto.", _WITH_SECRET, {"nuevo": _SHOWN_WITH_SECRET}, KEPT),
    status=201,
    errors_=[_INVALID, TooManyEndpoints()],
    allow=("GET", "HEAD", "POST"),
    tag=TAG,
    body=written("WebhookNuevo", _NEW, "url"),
    body_examples={"todos": {"url": _URL}, "algunos": {"url": _URL, "types": ["verification.verified"]}},
    idempotent=True,
)
_ONE = ("GET", "HEAD", "PATCH", "DELETE")
GET = operation(
    "webhook",
    "Un webhook",
    "Su estado, sin su secreto.",
    Success("El webhook.", _ENDPOINT, {"webhook": _SHOWN}, KEPT),
    parameters=[_WEBHOOK],
    errors_=[_NOT_FOUND],
    allow=_ONE,
    tag=TAG,
)
CHANGE = operation(
    "cambiarWebhook",
    "Cambiar, pausar o reanudar un webhook",
    "Un campo que no se envía queda como estaba. En pausa (`paused`) no se pierde nada mientras los eventos se "
    "conservan; `active` sigue donde se detuvo.",
    Success("El webhook.", _ENDPOINT, {"webhook": _SHOWN}, KEPT),
    parameters=[_WEBHOOK],
    errors_=[_INVALID, _NOT_FOUND],
    allow=_ONE,
    tag=TAG,
    body=written("WebhookCambiado", {**_NEW, "status": one_of_these(SETTABLE)}),
    body_examples={"pausar": {"status": "paused"}, "reanudar": {"status": "active"}},
    idempotent=True,
)
DELETE = operation(
    "borrarWebhook",
    "Borrar un webhook",
    "Con sus entregas, también las pendientes.",
    Success("Borrado.", None, {}, KEPT),
    status=204,
    parameters=[_WEBHOOK],
    errors_=[_NOT_FOUND],
    allow=_ONE,
    tag=TAG,
)
TEST = operation(
    "probarWebhook",
    "Enviar una prueba",
    "Un envío de tipo `webhook.test`, una sola vez, también con el webhook en pausa. Su resultado está en la entrega.",
    Success("La entrega, todavía sin enviar.", _DELIVERY, {"prueba": _SHOWN_TEST}, KEPT),
    status=202,
    parameters=[_WEBHOOK],
    errors_=[UNKNOWN_FIELD, _NOT_FOUND, UntriedTest()],
    **_WITHOUT_FIELDS,
)
ROTATE = operation(
    "rotarSecreto",
    "Cambiar el secreto",
    "El anterior firma también durante 24 horas: cámbielo en su servidor en ese tiempo.",
    Success("El webhook, con su secreto nuevo.", _WITH_SECRET, {"rotado": _SHOWN_WITH_SECRET}, KEPT),
    parameters=[_WEBHOOK],
    errors_=[UNKNOWN_FIELD, _NOT_FOUND],
    **_WITHOUT_FIELDS,
)
REPLAY = operation(
    "reenviarEntregas",
    "Reenviar entregas",
    "Las que nombra `deliveries`, entregadas o fallidas; o las fallidas que se crearon desde `since` hasta antes de "
    f"`until`. Hasta {Endpoint.MOST_OPEN} pendientes a la vez.",
    Success(
        "Cuántas se reenvían.",
        Named("Reenvio", answered({"replayed": shapes.COUNT})),
        {"reenviadas": {"replayed": 12}},
        KEPT,
    ),
    status=202,
    parameters=[_WEBHOOK],
    errors_=[errors.InvalidFields({"deliveries": ["Indique `deliveries` o `since`, uno de los dos."]}), _NOT_FOUND],
    allow=("POST",),
    tag=TAG,
    body=written(
        "ReenvioPedido",
        {
            "deliveries": {"type": "array", "items": shapes.UUID, "minItems": 1, "maxItems": MOST_IDS},
            "since": MOMENT,
            "until": MOMENT,
        },
    ),
    body_examples={"una": {"deliveries": [_DELIVERY_ID]}, "un dia": {"since": AT}},
    idempotent=True,
)
DELIVERIES = operation(
    "entregas",
    "Entregas de un webhook",
    "La más nueva primero. Se conservan como los eventos.",
    Success(
        "Una página.",
        Named(
            "PaginaDeEntregas",
            answered(
                {
                    "deliveries": listed(_DELIVERY, "La más nueva primero."),
                    "next": {**or_null(shapes.STRING), "description": "El `after` de la página siguiente."},
                }
            ),
        ),
        {"pagina": {"deliveries": [_SHOWN_DELIVERY], "next": None}},
        KEPT,
    ),
    parameters=[
        _WEBHOOK,
        in_query("status", "Solo las de este estado.", one_of_these(DELIVERY_STATUSES.values())),
        in_query("after", "El `next` de la página anterior.", shapes.STRING),
        in_query("limit", "Cuántas como máximo.", {"type": "integer", "minimum": 1, "maximum": 250, "default": 50}),
    ],
    errors_=[errors.InvalidFields({"status": ["Debe ser uno de: pending, delivered, failed."]}), _NOT_FOUND],
    tag=TAG,
)
DELIVERY = operation(
    "entrega",
    "Una entrega",
    "Qué pasó con un evento en un webhook.",
    Success("La entrega.", _DELIVERY, {"entrega": _SHOWN_DELIVERY}, KEPT),
    parameters=[_WEBHOOK, path_parameter("delivery", shapes.STRING, "El id de la entrega.", _DELIVERY_ID)],
    errors_=[_NOT_FOUND],
    tag=TAG,
)
OPERATIONS = {
    WebhooksView: {"get": LIST, "post": CREATE},
    WebhookView: {"get": GET, "patch": CHANGE, "delete": DELETE},
    WebhookTestView: {"": TEST},
    WebhookRotateView: {"": ROTATE},
    WebhookReplayView: {"": REPLAY},
    DeliveriesView: {"": DELIVERIES},
    DeliveryView: {"": DELIVERY},
}
