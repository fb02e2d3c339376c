"""SMPP status codes and message states, with the outcome of each (source: SMPP 3.4, sections 5.1.3 and 5.2.28,
appendix B).

PERMANENT is about the recipient: only an invalid number. TEMPORARY is about our account, our sender or the SMSC, or
unclear: another provider, or a later attempt, may succeed. THROTTLED asks us to slow down and costs no attempt. UNKNOWN
is a failure inside the SMSC: it may have taken the message.
"""

from messaging.gateways.codes import PERMANENT, TEMPORARY, THROTTLED, UNKNOWN, Code

ALREADY_BOUND = 0x00000005

SUBMIT: dict[int, Code] = {
    # this recipient
    0x0000000B: Code(PERMANENT, "el número de destino no es válido"),
    # our account, our sender, the way this SMSC wants its PDUs, or unclear
    0x00000001: Code(TEMPORARY, "largo de mensaje no válido"),
    0x00000002: Code(TEMPORARY, "largo de comando no válido"),
    0x00000003: Code(TEMPORARY, "comando desconocido"),
    0x00000004: Code(TEMPORARY, "la sesión no permite enviar"),
    0x00000006: Code(TEMPORARY, "prioridad no válida"),
    0x00000007: Code(TEMPORARY, "pedido de acuse no válido"),
    0x0000000A: Code(TEMPORARY, "el remitente no es válido"),
    0x00000015: Code(TEMPORARY, "tipo de servicio no válido"),
    0x00000043: Code(TEMPORARY, "clase de mensaje no válida"),
    0x00000045: Code(TEMPORARY, "el SMSC no aceptó el mensaje"),
    0x00000048: Code(TEMPORARY, "tipo de remitente no válido"),
    0x00000049: Code(TEMPORARY, "plan de numeración del remitente no válido"),
    0x00000050: Code(TEMPORARY, "tipo de destino no válido"),
    0x00000051: Code(TEMPORARY, "plan de numeración del destino no válido"),
    0x00000053: Code(TEMPORARY, "tipo de sistema no válido"),
    0x00000061: Code(TEMPORARY, "hora de envío no válida"),
    0x00000062: Code(TEMPORARY, "plazo de validez no válido"),
    0x00000064: Code(TEMPORARY, "rechazo temporal del SMSC"),
    0x00000065: Code(TEMPORARY, "rechazo definitivo del SMSC"),
    0x00000066: Code(TEMPORARY, "el SMSC rechaza el mensaje"),
    0x000000C0: Code(TEMPORARY, "parámetros opcionales no válidos"),
    0x000000C1: Code(TEMPORARY, "el SMSC no admite un parámetro opcional"),
    0x000000C2: Code(TEMPORARY, "largo de parámetro no válido"),
    0x000000C3: Code(TEMPORARY, "falta un parámetro opcional"),
    0x000000C4: Code(TEMPORARY, "valor de parámetro opcional no válido"),
    # too fast
    0x00000014: Code(THROTTLED, "la cola del SMSC está llena"),
    0x00000058: Code(THROTTLED, "demasiados mensajes por segundo"),
    # failures inside the SMSC
    0x00000008: Code(UNKNOWN, "falla interna del SMSC"),
    0x000000FE: Code(UNKNOWN, "falla de entrega en el SMSC"),
    0x000000FF: Code(UNKNOWN, "falla desconocida del SMSC"),
}
"""command_status of a submit_sm_resp or generic_nack -> outcome."""

REFUSES_PAYLOAD = frozenset({0x00000001, 0x00000002, 0x000000C0, 0x000000C1, 0x000000C2, 0x000000C3, 0x000000C4})
"""Answers of an SMSC that does not support message_payload: a parameter that it does not allow or understand, or a text
without any length. To a submit without that parameter they have the meaning in SUBMIT."""

BIND: dict[int, str] = {
    ALREADY_BOUND: "ya hay una sesión abierta con este usuario",
    0x00000008: "falla interna del SMSC",
    0x0000000D: "el SMSC rechaza la sesión",
    0x0000000E: "clave rechazada",
    0x0000000F: "usuario rechazado",
    0x00000053: "tipo de sistema no válido",
    0x00000058: "demasiados intentos de sesión",
}
"""command_status of a bind's answer -> the reason why there is no session."""

STATES: dict[str, str] = {
    "DELIVERED": "",
    "EXPIRED": "venció antes de llegar al celular",
    "DELETED": "el SMSC lo borró",
    "UNDELIVERABLE": "el operador no pudo entregarlo",
    "REJECTED": "el operador lo rechazó",
    "UNKNOWN": "el operador no sabe qué fue de él",
    "FAILED": "el envío falló en la red del operador",
    "SKIPPED": "el operador lo omitió",
    "ERROR": "error en la red del operador",
}
"""Final states -> the reason why it was not delivered. Others (SCHEDULED, ENROUTE, ACCEPTED) are not final."""

STATE_NUMBERS: dict[int, str] = {
    2: "DELIVERED",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIVERABLE",
    7: "UNKNOWN",
    8: "REJECTED",
    9: "SKIPPED",
}
"""Final states by the number in the parameter message_state (SMPP 5.0, section 4.7.15)."""

_FULL_NAMES: dict[str, str] = {
    **{state: state for state in STATES},
    "DELIVRD": "DELIVERED",
    "UNDELIVERED": "UNDELIVERABLE",
    "UNDELIVRD": "UNDELIVERABLE",
    "NOTDELIVERED": "UNDELIVERABLE",
    "REJECTD": "REJECTED",
    "DELETD": "DELETED",
    "CANCELLED": "DELETED",
    "CANCELED": "DELETED",
    "FAILURE": "FAILED",
}
"""Full spellings of vendors. Appendix B of SMPP 3.4 cuts them to seven letters, some vendors to another number."""
_SYNONYMS: dict[str, str] = {
    "ERR": "ERROR",
    "REJ": "REJECTED",
    "DLVRD": "DELIVERED",
    "DELVRD": "DELIVERED",
    "UNDLVRD": "UNDELIVERABLE",
    "UNDELVRD": "UNDELIVERABLE",
    "NONDELIVERED": "UNDELIVERABLE",
    "NOTDELIVRD": "UNDELIVERABLE",
    "EXPIRD": "EXPIRED",
    "REJCTD": "REJECTED",
    "BLOCKED": "REJECTED",
    "ABORTED": "FAILED",
    "DELIVERYFAILED": "FAILED",
    "DELIVERYFAILURE": "FAILED",
    "DELIVERYERROR": "ERROR",
    "UNKNWN": "UNKNOWN",
}
"""Other spellings, matched only in full."""
_MIN_LETTERS = 4
"""Letters that distinguish the states: UNDE, DELI, DELE."""


def final_state(written: str) -> str:
    """The final state of a receipt's `stat:` field, in any spelling or cut off; empty: not final, or not known.

    A number is a value of message_state. A longer word that begins like a state (DELIVERY_PENDING) does not match.
    """
    if written.isascii() and written.isdigit():
        return STATE_NUMBERS.get(int(written[:4]), "")
    word = "".join(letter for letter in written.upper() if letter.isalpha())
    if word in _SYNONYMS:
        return _SYNONYMS[word]
    if len(word) < _MIN_LETTERS:
        return ""
    return next((state for spelling, state in _FULL_NAMES.items() if spelling.startswith(word)), "")


def meaning(status: int) -> Code:
    """The code of an error status. One that is not in the table (an operator's own) is TEMPORARY: the SMSC did not take
    the message, and the status does not say that it is about the recipient."""
    return SUBMIT.get(status) or Code(TEMPORARY, "rechazado con un código propio del operador")
