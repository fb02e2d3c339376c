"""Celery's settings, each with its reason (the faults behind them were reproduced, see docs/adr/0002)."""

from celery.schedules import crontab
from django.conf import settings

_PREFIX = f"{settings.REDIS_PREFIX}celery:"
REQUEST_OPTIONS = {
    "visibility_timeout": 90,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": _PREFIX,
    # a client waits: a frozen Redis costs one second, without a retry
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 0,
}
WORKER_OPTIONS = {**REQUEST_OPTIONS, "socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1}

REQUEST_CONNECT_SECONDS, WORKER_CONNECT_SECONDS = 1.0, 4.0
"""Seconds until a new connection must be answered: a frozen RabbitMQ accepts it and stays silent."""

broker_url = settings.BROKER_URL
broker_transport_options = REQUEST_OPTIONS
broker_connection_timeout = REQUEST_CONNECT_SECONDS
broker_heartbeat = 10  # RabbitMQ: a machine that vanished is noticed in 20 s, not in four minutes
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker outlives any outage of its broker
broker_channel_error_retry = True
"""A Redis that became a replica answers with errors (READONLY, UNBLOCKED): workers reconnect instead of ending."""
task_publish_retry_policy = {"max_retries": 0}
task_serializer = "json"
accept_content = ["json"]
enable_utc = True
timezone = settings.TIME_ZONE
task_ignore_result = True  # the row holds the result; a result backend costs 25 %
task_acks_late = True
task_reject_on_worker_lost = True
task_soft_time_limit = 20  # the thread pool ignores both: gateways have their own deadlines
task_time_limit = 30
task_default_queue = "periodic"
worker_consumer = "config.worker:Consumer"
worker_enable_remote_control = False
"""Remote control is not used. RabbitMQ gives its queue to one process of a name: a second worker on the same host would
end again and again, and so would one that lost its connection until RabbitMQ has noticed."""
beat_scheduler = "config.beat:Scheduler"
worker_prefetch_multiplier = 1  # a wake-up waits in Redis, where a free worker sees it, not in a busy worker
worker_max_tasks_per_child = 1000
worker_soft_shutdown_timeout = 25
worker_cancel_long_running_tasks_on_connection_loss = False  # a claimed code is sent although Redis is away
worker_send_task_events = False
worker_hijack_root_logger = False
CELERY_DB_REUSE_MAX = 1_000_000_000
"""Tasks that one database connection serves. Without it Celery's Django fixup closes the connection before and after
each task: every wake-up cost PostgreSQL a new session, nine tenths of its work for a code."""
beat_schedule = {
    # `expires` is the period: sweeps that pile up behind a dead worker are one sweep
    "messaging.sweep": {"task": "messaging.sweep", "schedule": 2.0, "options": {"expires": 2}},
    "messaging.run_campaigns": {"task": "messaging.run_campaigns", "schedule": 5.0, "options": {"expires": 5}},
    "messaging.send_reset_links": {"task": "messaging.send_reset_links", "schedule": 60.0, "options": {"expires": 60}},
    "tokens.sweep": {"task": "tokens.sweep", "schedule": 2.0, "options": {"expires": 2}},
    # at night, in batches of some seconds, so that other sweeps never wait; the next night continues
    "support.forget": {"task": "support.forget", "schedule": crontab(hour="1-5"), "options": {"expires": 60}},
    "support.count_usage": {"task": "support.count_usage", "schedule": 600.0, "options": {"expires": 600}},
    "support.announce_expiring_keys": {
        "task": "support.announce_expiring_keys",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "webhooks.send_pause_mails": {"task": "webhooks.send_pause_mails", "schedule": 60.0, "options": {"expires": 60}},
    "metrics.sweep": {"task": "metrics.sweep", "schedule": 10.0, "options": {"expires": 10}},
    "metrics.keep_days": {"task": "metrics.keep_days", "schedule": 300.0, "options": {"expires": 300}},
    "metrics.evaluate_alarms": {"task": "metrics.evaluate_alarms", "schedule": 10.0, "options": {"expires": 10}},
    "metrics.fold": {"task": "metrics.fold", "schedule": 600.0, "options": {"expires": 600}},
    "support.watch_events": {"task": "support.watch_events", "schedule": 60.0, "options": {"expires": 60}},
    "support.forget_erased": {"task": "support.forget_erased", "schedule": 900.0, "options": {"expires": 900}},
}
task_routes = {"messaging.deliver_codes": {"queue": "codes"}, "messaging.deliver_bulk": {"queue": "bulk"}}
