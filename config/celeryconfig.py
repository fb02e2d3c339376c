"""Celery's settings, each with its reason (the traps behind them were reproduced, see docs/adr/0002)."""

from celery.schedules import crontab
from django.conf import settings

_PREFIX = f"{settings.REDIS_PREFIX}celery:"
IN_A_REQUEST = {
    "visibility_timeout": 90,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": _PREFIX,
    # a client is waiting: a frozen Redis costs a second, and no retry
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 0,
}
IN_A_WORKER = {**IN_A_REQUEST, "socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1}

CONNECT_IN_A_REQUEST, CONNECT_IN_A_WORKER = 1.0, 4.0
"""Seconds for a connection to the broker until it has answered: a frozen RabbitMQ takes it and says nothing."""

broker_url = settings.BROKER_URL
broker_transport_options = IN_A_REQUEST
broker_connection_timeout = CONNECT_IN_A_REQUEST
broker_heartbeat = 10  # RabbitMQ: a machine that vanished is noticed in 20 s, not in four minutes
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker outlives any outage of its broker
broker_channel_error_retry = True
"""A Redis that was made a replica answers with errors (READONLY, UNBLOCKED): workers connect anew, and do not end."""
task_publish_retry_policy = {"max_retries": 0}
task_serializer = "json"
accept_content = ["json"]
enable_utc = True
timezone = settings.TIME_ZONE
task_ignore_result = True  # the row holds the result; a result backend costs 25 %
task_acks_late = True
task_reject_on_worker_lost = True
task_soft_time_limit = 20  # threads ignore both: the gateways carry their own deadlines
task_time_limit = 30
task_default_queue = "periodic"
worker_consumer = "config.worker:Consumer"
worker_enable_remote_control = False
"""Nobody asks workers over the broker. RabbitMQ gives the queue for it to one process of a name: a second worker on the
same host would end again and again, and one that lost its connection until RabbitMQ has noticed."""
beat_scheduler = "config.beat:Scheduler"
worker_prefetch_multiplier = 1  # a ring waits in Redis, where a free worker sees it, not in a busy one
worker_max_tasks_per_child = 1000
worker_soft_shutdown_timeout = 25
worker_cancel_long_running_tasks_on_connection_loss = False  # a code in hand is sent though Redis went away
worker_send_task_events = False
worker_hijack_root_logger = False
CELERY_DB_REUSE_MAX = 1_000_000_000
"""Tasks a connection to the database serves. Without it Celery's Django fixup closes it before and after each task:
every ring cost PostgreSQL a new session, nine tenths of its work for a code."""
beat_schedule = {
    # `expires` is the period: sweeps that pile up behind a dead worker are one sweep
    "messaging.sweep": {"task": "messaging.sweep", "schedule": 2.0, "options": {"expires": 2}},
    "messaging.run_campaigns": {"task": "messaging.run_campaigns", "schedule": 5.0, "options": {"expires": 5}},
    "tokens.sweep": {"task": "tokens.sweep", "schedule": 2.0, "options": {"expires": 2}},
    # at night, in pieces of some seconds, so that the sweeps beside it never wait; tomorrow goes on where tonight ends
    "support.forget": {"task": "support.forget", "schedule": crontab(hour="1-5"), "options": {"expires": 60}},
    "support.forget_erased": {"task": "support.forget_erased", "schedule": 900.0, "options": {"expires": 900}},
}
task_routes = {"messaging.deliver_codes": {"queue": "codes"}, "messaging.deliver_bulk": {"queue": "bulk"}}
