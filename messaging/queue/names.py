"""Queues: the kinds of messages in each, the size of a claim, and the order. Celery's queues have the same names."""

QUEUES = {"codes": "kind IN ('verificacion', 'suscripcion')", "bulk": "kind IN ('alerta', 'boletin')"}
QUEUE_OF = {"verificacion": "codes", "suscripcion": "codes", "alerta": "bulk", "boletin": "bulk"}
BATCH = {"codes": 10, "bulk": 100}
ORDER = {"codes": "next_attempt_at", "bulk": "kind, next_attempt_at"}
"""Alerts before bulletins, in the alphabetical order of their names and so of the index."""
