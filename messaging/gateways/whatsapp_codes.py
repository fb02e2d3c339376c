"""Error codes of Meta's Cloud API for template messages, with the outcome of each (source: Meta, WhatsApp Cloud API,
Error codes). Meta asks clients to use `code`, never the titles. The same codes come in answers and in receipts.
"""

from messaging.gateways.codes import DEFERRED, PERMANENT, TEMPORARY, THROTTLED, UNKNOWN, Code

REQUEST: dict[int, Code] = {
    # our token, our account, our template, our request
    0: Code(TEMPORARY, "no pudo autenticarse la aplicación"),
    3: Code(TEMPORARY, "la aplicación no tiene esta capacidad"),
    10: Code(TEMPORARY, "la aplicación no tiene permiso"),
    33: Code(TEMPORARY, "el número de origen fue borrado"),
    100: Code(TEMPORARY, "un parámetro no es válido"),
    190: Code(TEMPORARY, "el token venció"),
    200: Code(TEMPORARY, "la aplicación no tiene permiso"),
    368: Code(TEMPORARY, "la cuenta está bloqueada por incumplir políticas"),
    130497: Code(TEMPORARY, "la cuenta no puede enviar a este país"),
    131005: Code(TEMPORARY, "la aplicación no tiene permiso"),
    131008: Code(TEMPORARY, "falta un parámetro"),
    131009: Code(TEMPORARY, "un parámetro no es válido"),
    131030: Code(TEMPORARY, "el destino no está entre los números de prueba"),
    131031: Code(TEMPORARY, "la cuenta está bloqueada"),
    131037: Code(TEMPORARY, "falta aprobar el nombre del número de origen"),
    131042: Code(TEMPORARY, "hay un problema con el pago de la cuenta"),
    131045: Code(TEMPORARY, "el número de origen no está registrado"),
    131047: Code(TEMPORARY, "falta una plantilla (fuera de las 24 horas)"),
    131051: Code(TEMPORARY, "tipo de mensaje desconocido"),
    132000: Code(TEMPORARY, "la plantilla no lleva estos parámetros"),
    132001: Code(TEMPORARY, "la plantilla no existe en este idioma"),
    132005: Code(TEMPORARY, "el texto es demasiado largo para la plantilla"),
    132007: Code(TEMPORARY, "la plantilla incumple políticas"),
    132012: Code(TEMPORARY, "la plantilla no lleva parámetros de esta forma"),
    132015: Code(TEMPORARY, "la plantilla está en pausa"),
    132016: Code(TEMPORARY, "la plantilla está deshabilitada"),
    133010: Code(TEMPORARY, "el número de origen no está registrado"),
    # the service fails and says that it did not take the message
    131016: Code(TEMPORARY, "el servicio no está disponible"),
    131057: Code(TEMPORARY, "la cuenta está en mantenimiento"),
    133004: Code(TEMPORARY, "el servicio no está disponible"),
    # too fast
    4: Code(THROTTLED, "demasiadas llamadas de la aplicación"),
    80007: Code(THROTTLED, "demasiadas llamadas de la cuenta"),
    130429: Code(THROTTLED, "demasiados mensajes por segundo"),
    131048: Code(TEMPORARY, "límite por mensajes bloqueados o denunciados"),
    133016: Code(THROTTLED, "demasiados registros del número de origen"),
    # this recipient, for now
    130472: Code(DEFERRED, "el cliente está en un experimento de Meta"),
    131049: Code(DEFERRED, "Meta decidió no entregarlo por ahora"),
    131056: Code(DEFERRED, "demasiados mensajes a este cliente"),
    # this recipient
    131021: Code(PERMANENT, "el destino es el número de origen"),
    131026: Code(PERMANENT, "el número no puede recibir por WhatsApp"),
    131050: Code(PERMANENT, "el cliente no quiere recibir mensajes de esta empresa"),
    # perhaps taken
    1: Code(UNKNOWN, "falla desconocida"),
    2: Code(UNKNOWN, "el servicio falló"),
    131000: Code(UNKNOWN, "falla desconocida"),
}
"""Code -> outcome. A code that is not here and comes with a 4xx is unclear: the next provider. UNKNOWN prevents that
another provider sends the same message to the client a second time."""
