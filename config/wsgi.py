"""WSGI application that config.webserver serves."""

import gc
import logging
import os

import django
from django.conf import LazySettings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from config.handler import Handler  # noqa: E402  after the settings are loaded

application = Handler()

# Django checks and resets the connections both before and after each request; each time costs a fiftieth of a call. A
# connection that breaks between two requests is found by the health check before its first use.
request_started.disconnect(close_old_connections)
request_started.disconnect(reset_queries)  # of the log of statements, which only a debugger keeps
request_finished.disconnect(close_caches)  # which have nothing to close
request_finished.disconnect(reset_urlconf)  # which no request sets

# A request reads fifty settings. Each read would call a method in Python that looks for the proxied methods of a
# LazyObject; of settings only attributes are read.
LazySettings.__getattribute__ = object.__getattribute__  # type: ignore[method-assign]


def _log_gateways() -> None:
    """Log version and gateways once at the start: in staging some vias are real and some are not."""
    from config.version import VERSION
    from messaging.gateways import in_use

    logging.getLogger("aval.start").info("gateways", extra={"version": VERSION, **in_use()})


def _log_text_warnings() -> None:
    """Log the warnings of `manage.py check` about SMS texts, which a server's start does not run."""
    from tokens.checks import check_sms_alphabet

    for warning in check_sms_alphabet():
        logging.getLogger("aval.start").warning(warning.msg, extra={"check": warning.id})


# Lines have no such fields: Python looks for their values all the same ("Optimization" in the Logging HOWTO)
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

_log_gateways()
_log_text_warnings()

# Objects loaded by now live as long as the process. Frozen, they do not slow down the garbage collection in a request
# that makes 100,000 objects (10,000 rows of JSON).
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
