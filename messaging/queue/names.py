"""Queues: the messages of each, the size of a claim, the order. Celery's queues have the same names."""

QUEUES = {"codes": "kind IN ('verificacion', 'suscripcion')", "bulk": "kind IN ('alerta', 'boletin')"}
QUEUE_OF = {"verificacion": "codes", "suscripcion": "codes", "alerta": "bulk", "boletin": "bulk"}
BATCH = {"codes": 10, "bulk": 100}
ORDER = {"codes": "next_attempt_at", "bulk": "kind, next_attempt_at"}
"""Alerts before bulletins: the order of their names in the alphabet, and so in the index."""
GATEWAY_BATCH = 20
"""The size of a claim by the process of a gateway (SMPP): each message must be handed over within its lease of 5 s."""
