"""The queues: which messages each holds, how many a claim takes, in which order. Celery's queues bear their names."""

QUEUES = {"codes": "kind IN ('verificacion', 'suscripcion')", "bulk": "kind IN ('alerta', 'boletin')"}
QUEUE_OF = {"verificacion": "codes", "suscripcion": "codes", "alerta": "bulk", "boletin": "bulk"}
BATCH = {"codes": 10, "bulk": 100}
ORDER = {"codes": "next_attempt_at", "bulk": "kind, next_attempt_at"}
"""Alerts before bulletins, as their names stand in the alphabet and so in the index."""
