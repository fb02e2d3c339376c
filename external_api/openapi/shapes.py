"""Short forms of JSON Schema (2020-12, the dialect of OpenAPI 3.1), in the strict form of the document
(`external_api.openapi.forms`): objects of answers have no undocumented key."""

from collections.abc import Iterable
from typing import Any

from clients.identity.documents import DOCUMENT_TYPES
from external_api.openapi.forms import Named

Schema = dict[str, Any]

UUID: Schema = {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
DATE: Schema = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
MOMENT: Schema = {"type": "string", "format": "date-time", "description": "ISO 8601 con su desfase, hora de Lima."}
STAMP: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}$",
    "description": "`YYYY-MM-DD hh:mm:ss.dddddd`, hora de Lima, siempre con seis decimales.",
}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}
STRING: Schema = {"type": "string"}
NULL: Schema = {"title": "Nulo", "type": "null"}


def text(description: str = "", **rules: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **rules}


def optional(description: str = "", **rules: Any) -> Schema:
    """Text that may be missing, null or empty: the three are the same."""
    return {**text(description, **rules), "type": ["string", "null"]}


def one_of_these(values: Iterable[str], description: str = "") -> Schema:
    return text(description, enum=list(values))


def or_null(schema: Schema) -> Schema:
    if isinstance(schema, Named):
        return {"anyOf": [schema, NULL]}
    return {**schema, "type": [schema["type"], "null"]}


def described(schema: Schema, description: str) -> Schema:
    """The same schema, in place, with a description of its own."""
    return {**schema, "description": description}


def listed(items: Schema, description: str = "", **rules: Any) -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {}), **rules}


def answered(properties: dict[str, Schema], *, may_lack: tuple[str, ...] = ()) -> Schema:
    """An object of an answer: every key is there, but for `may_lack`, and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in may_lack],
        "additionalProperties": False,
    }


def asked(properties: dict[str, Schema], *, required: Iterable[str]) -> Schema:
    """An object of a request. Other keys are ignored."""
    return {"type": "object", "properties": properties, "required": list(required)}


FAULTS_BY_FIELD: Schema = Named(
    "FallasPorCampo",
    {
        "type": "object",
        "description": "Un arreglo de textos por campo; en el registro, `request` cuando ningún campo tiene la culpa.",
        "additionalProperties": listed(STRING, minItems=1),
    },
)
DOCUMENT_TYPE: Schema = Named("TipoDocumento", one_of_these(DOCUMENT_TYPES))
