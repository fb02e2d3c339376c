"""The Celery application: doorbells and periodic sweeps. Its settings stand in config/celeryconfig.py."""

import logging
import os

from celery import Celery
from celery.signals import celeryd_init, setup_logging, task_prerun, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("aval")
app.config_from_object("config.celeryconfig")  # by name: read when first needed, not when `config` is imported
app.autodiscover_tasks(["messaging", "tokens", "external_api", "support"])


@celeryd_init.connect
def _wait_longer(**_: object) -> None:
    """Nobody waits for a worker: it may give the broker more time than a request may."""
    from config.celeryconfig import CONNECT_IN_A_WORKER, IN_A_WORKER

    app.conf.broker_transport_options = IN_A_WORKER
    app.conf.broker_connection_timeout = CONNECT_IN_A_WORKER


@worker_ready.connect
def _say_where_messages_go(**_: object) -> None:
    from django.db import Error

    from messaging.delivery import failover
    from messaging.gateways import in_use

    used = in_use()
    log = logging.getLogger("aval.start")
    log.info("gateways", extra=used)
    try:
        failover.register(sorted({name for names in used.values() for name in names}))
    except Error as fault:  # a worker starts without its database too, and the next one introduces them
        log.warning("providers were not written down", extra={"fault": repr(fault)[:200]})


@task_prerun.connect
def _drop_what_is_broken(**_: object) -> None:
    """Connections to the database are kept from task to task (celeryconfig); one that broke is replaced."""
    from django.db import close_old_connections

    close_old_connections()


@worker_shutdown.connect
def _finish_what_is_in_hand(**_: object) -> None:
    """SIGTERM: Celery has waited for its tasks; the crew's threads may still have a provider on the line."""
    from messaging.delivery import thread_pool

    thread_pool.finish()


@setup_logging.connect
def _one_json_line(**_: object) -> None:
    """Keeps Celery from replacing Django's logging, which has been set up by then."""
