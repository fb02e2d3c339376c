"""Twilio's error codes for messages, with the outcome of each (source: Twilio, Error and Warning Dictionary). For
other codes the HTTP status counts (a 4xx: unclear, next provider); in a receipt the number is shown.

PERMANENT is about this recipient or this text: no other provider will succeed. TEMPORARY is about our account, our
sender or the network: another provider, or a later attempt, may succeed, and it counts as a failure of this one.
THROTTLED asks us to slow down and costs no attempt.
"""

from messaging.gateways.codes import PERMANENT, TEMPORARY, THROTTLED, Code

REQUEST: dict[int, Code] = {
    # our account and our sender
    10001: Code(TEMPORARY, "la cuenta no está activa"),
    20003: Code(TEMPORARY, "credenciales rechazadas"),
    20005: Code(TEMPORARY, "la cuenta no está activa"),
    20403: Code(TEMPORARY, "la cuenta no tiene permiso"),
    20404: Code(TEMPORARY, "la cuenta o el servicio no existe"),
    21210: Code(TEMPORARY, "el número de origen no está verificado"),
    21212: Code(TEMPORARY, "el número de origen no es válido"),
    21215: Code(TEMPORARY, "la cuenta no puede llamar a este país"),
    21216: Code(TEMPORARY, "la cuenta no puede llamar a este número"),
    21408: Code(TEMPORARY, "la cuenta no puede enviar a este país"),
    21603: Code(TEMPORARY, "falta el número de origen"),
    21606: Code(TEMPORARY, "el número de origen no puede enviar mensajes"),
    21608: Code(TEMPORARY, "cuenta de prueba: el destino no está verificado"),
    21612: Code(TEMPORARY, "no hay ruta de este origen a este destino"),
    21659: Code(TEMPORARY, "el número de origen no es de la cuenta"),
    21660: Code(TEMPORARY, "el número de origen no es de la cuenta"),
    21703: Code(TEMPORARY, "el servicio de mensajería no tiene números"),
    21704: Code(TEMPORARY, "el servicio de mensajería no tiene números"),
    30002: Code(TEMPORARY, "la cuenta está suspendida"),
    63007: Code(TEMPORARY, "el número de origen no está en el canal"),
    63016: Code(TEMPORARY, "falta una plantilla aprobada (fuera de las 24 horas)"),
    63020: Code(TEMPORARY, "la cuenta de WhatsApp no acepta la invitación de Twilio"),
    63027: Code(TEMPORARY, "la plantilla no existe en este idioma"),
    63028: Code(TEMPORARY, "la plantilla no lleva estos parámetros"),
    63040: Code(TEMPORARY, "la plantilla fue rechazada por WhatsApp"),
    63041: Code(TEMPORARY, "la plantilla está en pausa"),
    63042: Code(TEMPORARY, "la plantilla está deshabilitada"),
    # too fast
    14107: Code(THROTTLED, "demasiados mensajes por segundo"),
    20429: Code(THROTTLED, "demasiadas solicitudes"),
    21611: Code(THROTTLED, "la cola del número de origen está llena"),
    30001: Code(THROTTLED, "la cola está llena"),
    30022: Code(THROTTLED, "demasiados mensajes por segundo"),
    63018: Code(THROTTLED, "el canal limita la velocidad"),
    # this recipient, this text
    13224: Code(PERMANENT, "el número no es válido"),
    21211: Code(PERMANENT, "el número no es válido"),
    21214: Code(PERMANENT, "no se puede llegar al número"),
    21217: Code(PERMANENT, "el número no parece válido"),
    21421: Code(PERMANENT, "el número no es válido"),
    21602: Code(PERMANENT, "el mensaje no tiene texto"),
    21604: Code(PERMANENT, "falta el destino"),
    21610: Code(PERMANENT, "el cliente respondió STOP a este origen"),
    21614: Code(PERMANENT, "el número no es de un celular"),
    21617: Code(PERMANENT, "el texto es demasiado largo"),
    21635: Code(PERMANENT, "el número es de un teléfono fijo"),
    63003: Code(PERMANENT, "el número no está en WhatsApp"),
    63024: Code(PERMANENT, "el número no puede recibir por este canal"),
}
"""Codes in answers to a request."""

RECEIPT: dict[int, str] = {
    30001: "la cola estaba llena",
    30002: "la cuenta está suspendida",
    30003: "el celular está apagado o sin señal",
    30004: "el operador o el cliente bloquea el mensaje",
    30005: "el número no existe o ya no está en servicio",
    30006: "el número es de un fijo o el operador no está al alcance",
    30007: "el operador lo filtró",
    30008: "el operador no dice por qué",
    30009: "se perdió una parte del mensaje",
    30010: "cuesta más que el máximo permitido",
    30022: "demasiados mensajes por segundo",
    30034: "el número de origen no está registrado",
    30036: "venció antes de salir de Twilio",
    30410: "el operador no respondió a tiempo",
    30500: "falla de Twilio",
    60410: "Twilio lo bloqueó como posible fraude",
    63003: "el número no está en WhatsApp",
    63013: "el canal lo bloqueó por su contenido",
    63016: "falta una plantilla aprobada (fuera de las 24 horas)",
    63018: "el canal limita la velocidad",
    63024: "el número no puede recibir por este canal",
    63032: "WhatsApp no lo entrega a este cliente",
    63049: "Meta decidió no entregarlo",
}
"""Reasons in a receipt, in Spanish for staff."""
