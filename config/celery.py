"""The Celery application: doorbells and periodic sweeps. Its settings stand in config/celeryconfig.py."""

import logging
import os

from celery import Celery
from celery.signals import celeryd_init, setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("aval")
app.config_from_object("config.celeryconfig")  # by name: read when first needed, not when `config` is imported
app.autodiscover_tasks(["messaging", "tokens", "external_api"])


@celeryd_init.connect
def _wait_longer(**_: object) -> None:
    """Nobody waits for a worker: it may give Redis more time than a request may."""
    from config.celeryconfig import IN_A_WORKER

    app.conf.broker_transport_options = IN_A_WORKER


@worker_ready.connect
def _say_where_messages_go(**_: object) -> None:
    from messaging.gateways import in_use

    logging.getLogger("aval.start").info("gateways", extra=in_use())


@setup_logging.connect
def _one_json_line(**_: object) -> None:
    """Keeps Celery from replacing Django's logging, which has been set up by then."""
