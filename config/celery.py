"""Celery application for wake-ups and periodic sweeps. Its settings are in config/celeryconfig.py."""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    task_success,
    worker_ready,
    worker_shutdown,
)

from clients import heartbeat
from config import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("aval")
app.config_from_object("config.celeryconfig")  # by name: read when first needed, not when `config` is imported
app.autodiscover_tasks(["messaging", "tokens", "webhooks", "metrics", "external_api", "support"])


@celeryd_init.connect
def _use_worker_timeouts(**_: object) -> None:
    """Give the broker more time in a worker than in a request, where a client waits."""
    from config.celeryconfig import WORKER_CONNECT_SECONDS, WORKER_OPTIONS

    app.conf.broker_transport_options = WORKER_OPTIONS
    app.conf.broker_connection_timeout = WORKER_CONNECT_SECONDS


PROGRAM_OF_QUEUE = {"codes": "worker", "periodic": "periodic", "bulk": "bulk"}
"""Program (config.run.programs) by the name of its worker, which is that of its queue."""


@celeryd_init.connect
def _begin_heartbeat(sender: str, **_: object) -> None:
    """A worker's loop runs without tasks; the sweeps come to `periodic` every two seconds."""
    from django.conf import settings

    name = sender.partition("@")[0]
    program = PROGRAM_OF_QUEUE.get(name, name)
    heartbeat.start(settings.HEALTH_FOLDER, program, "loop", *(["task"] if program == "periodic" else []))


@beat_init.connect
def _begin_heartbeat_of_beat(**_: object) -> None:
    from django.conf import settings

    heartbeat.start(settings.HEALTH_FOLDER, "beat", "publish")


@worker_ready.connect
def _log_gateways(**_: object) -> None:
    """Log the version and the gateways in use, and record their providers in the database."""
    from django.db import Error

    from config.version import VERSION
    from messaging.delivery import failover
    from messaging.gateways import in_use

    used = in_use()
    log = logging.getLogger("aval.start")
    log.info("gateways", extra={"version": VERSION, **used})
    try:
        failover.register(sorted({name for names in used.values() for name in names}))
    except Error as fault:  # a worker starts without its database too, and the next one introduces them
        log.warning("providers were not written down", extra={"fault": repr(fault)[:200]})


@task_prerun.connect
def _note_begin(task_id: str, sender: Any, **_: object) -> None:
    heartbeat.began(task_id)
    tracing.task_began(task_id, sender.name)


@task_postrun.connect
def _note_end(task_id: str, state: str = "", **_: object) -> None:
    """A task that failed has ended too: while the database is away the worker still does its work."""
    heartbeat.ended(task_id)
    heartbeat.did("task")
    tracing.task_ended(task_id, state or "")


@task_prerun.connect
def _close_broken_connections(**_: object) -> None:
    """Replace a broken database connection; connections are reused between tasks (celeryconfig)."""
    from django.db import close_old_connections

    close_old_connections()


@task_success.connect
def _note_run(sender: Any = None, **_: object) -> None:
    """Note when a periodic task last did its work, for the metrics (`metrics.task_runs`)."""
    from metrics import task_runs

    task_runs.note(str(getattr(sender, "name", "")))


@worker_shutdown.connect
def _finish_sends(**_: object) -> None:
    """On SIGTERM, wait for the thread pool: Celery has waited for its tasks, but calls to providers may still run."""
    from messaging.delivery import thread_pool

    thread_pool.finish()


@setup_logging.connect
def _keep_logging(**_: object) -> None:
    """Keep Celery from replacing Django's logging, which is set up by then."""
