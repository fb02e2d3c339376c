"""The WSGI application that config.webserver serves."""

import gc
import logging
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from config.handler import Handler  # noqa: E402  once the settings are there

application = Handler()


def _say_where_messages_go() -> None:
    """One line at the start: in staging some vias are real and some are not, and that must not be guessed."""
    from messaging.gateways import in_use

    logging.getLogger("aval.start").info("gateways", extra=in_use())


def _say_what_is_odd_about_the_texts() -> None:
    """What `manage.py check` says of them too; whoever starts a server does not always run that."""
    from tokens.checks import check_sms_alphabet

    for warning in check_sms_alphabet():
        logging.getLogger("aval.start").warning(warning.msg, extra={"check": warning.id})


_say_where_messages_go()
_say_what_is_odd_about_the_texts()

# What is loaded by now lives as long as the process: out of the collector's sight, a request that makes 100,000 objects
# (10,000 rows of JSON) does not pay for looking at all of it again and again.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
