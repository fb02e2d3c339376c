"""Strict JSON parser of all contracts: RFC 8259 without its latitude.

It rejects what two parsers could read differently or a database cannot hold: duplicate keys, NaN and Infinity, lone
surrogates, NUL, integers over 18 digits, numbers that overflow, deep nesting, any charset but UTF-8. A body is read up
to the contract's limit and no further.
"""

import json
import math
import re
from typing import Any, NoReturn

from django.http.request import HttpRequest, UnreadablePostError

from external_api.frontdoor.errors import BadRequest, CompressedBody, TooLarge, WrongMediaType

MAX_DEPTH = 16
"""Levels of nesting; the contracts need four."""
MAX_INTEGER_DIGITS = 18
"""Digits: more does not fit a bigint."""


def read_body(request: HttpRequest, *, limit: int) -> bytes:
    """Read the raw body, which costs only its memory so far; the web server gives the length of a chunked one.

    Raises TooLarge (limit in bytes), BadRequest when the body breaks off, CompressedBody, and WrongMediaType for a body
    that is not JSON.
    """
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise BadRequest("La cabecera Content-Length no es un número.") from None
    if announced > limit:
        raise TooLarge(limit)
    try:
        body = request.body
    except (UnreadablePostError, OSError):
        raise BadRequest("El cuerpo llegó incompleto.") from None
    if len(body) > limit:
        raise TooLarge(limit)
    if len(body) < announced:
        raise BadRequest("El cuerpo llegó incompleto.")
    if body:
        if request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity"):
            raise CompressedBody
        _check_media_type(request.META.get("CONTENT_TYPE", ""))
    return body


def _check_media_type(content_type: str) -> None:
    """Raises WrongMediaType unless it is application/json, with charset UTF-8 if it names one."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind != "application/json":
        raise WrongMediaType
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise WrongMediaType


def parse_object(body: bytes, *, elements: int, byte_order_mark: bool = False) -> dict[str, Any]:
    """Parse a body of at most `elements` brackets, colons and commas; without one, the object is empty.

    `byte_order_mark`: one before it is dropped, as RFC 8259, section 8.1, allows; Windows programs write it.

    Raises BadRequest, with a reason in Spanish.
    """
    if not body:
        return {}
    if _has_more_elements(body, elements):
        raise BadRequest("El JSON tiene demasiados elementos.")
    try:
        text = body.decode("utf-8-sig" if byte_order_mark else "utf-8")
    except UnicodeDecodeError:
        raise BadRequest("El cuerpo no está en UTF-8.") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as fault:
        raise BadRequest(f"El cuerpo no es JSON válido (línea {fault.lineno}, columna {fault.colno}).") from None
    except RecursionError:
        raise BadRequest("El JSON está anidado demasiado.") from None
    if not isinstance(value, dict):
        raise BadRequest("El cuerpo debe ser un objeto JSON.")
    _check_depth(value)
    if _SUSPECT_ESCAPE.search(text):
        _check_text(value)
    return value


_MARKS = (b"{", b"[", b":", b",")


def _has_more_elements(body: bytes, allowed: int) -> bool:
    """Count brackets, colons and commas outside of strings, before any object is made of them: 2.7 million empty
    objects fit into 8 MiB, and take 600 MB. A body with few of them, inside of its strings too, is not split."""
    quotes = 2 * (allowed + 2)  # JSON has one of them between two strings
    if sum(map(body.count, _MARKS)) <= allowed and body.count(b'"') < quotes:
        return False
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if bare.count(b'"') >= quotes:
        return True
    outside = b"".join(bare.split(b'"')[::2])
    return sum(map(outside.count, _MARKS)) > allowed


_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""NUL and surrogates: escapes are the only way to them, raw ones pass neither UTF-8 nor the decoder."""


_CONTAINERS = frozenset({dict, list})


def _check_depth(value: dict[str, Any]) -> None:
    """Check the nesting level by level, over containers only: 10,000 rows cost a few milliseconds."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) in _CONTAINERS
        ]
        if not below:
            return
        level = below
    raise BadRequest("El JSON está anidado demasiado.")


def _check_text(value: Any) -> None:
    """Check every string, keys too. Called only for bodies with a suspect escape."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, str):
        if "\x00" in value:
            raise BadRequest("El JSON contiene un carácter NUL.")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRequest("El JSON contiene un carácter Unicode incompleto.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadRequest("El JSON repite una clave.")
    return made


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise BadRequest("El JSON contiene un número demasiado grande.")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BadRequest("El JSON contiene un número demasiado grande.")
    return number


def _constant(name: str) -> NoReturn:
    raise BadRequest(f"{name} no es JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
