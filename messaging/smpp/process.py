"""Process of the SMPP gateways: each smpp:// gateway of SMS_URL in a thread of its own."""

import logging
from collections.abc import Sequence
from threading import Event, Thread

from django.db import connection

from messaging.gateways import gateways_for
from messaging.gateways.smpp import SmppGateway
from messaging.smpp.bind import Bind
from messaging.smpp.timing import Pace, clock

log = logging.getLogger(__name__)

PATIENCE = 25.0
"""Seconds for a stop: outstanding answers take 10, a connection attempt or a statement 5. Supervisors wait 30 before
they kill; what is killed becomes UNKNOWN."""


def gateways() -> list[SmppGateway]:
    """Gateways of SMS_URL that need this process."""
    return [gateway for gateway in gateways_for("S") if isinstance(gateway, SmppGateway)]


def run(binds: Sequence[SmppGateway], stopping: Event, pace: Pace | None = None) -> bool:
    """Returns once `stopping` is set and all binds have ended; False if one did not in time, or crashed."""
    fallen: list[str] = []

    def keep(gateway: SmppGateway) -> None:
        try:
            Bind(gateway, stopping, pace).run()
        except Exception:
            log.exception("an smpp bind fell", extra={"provider": gateway.name})
            fallen.append(gateway.name)
            stopping.set()  # a process with a bind less would look well: whoever supervises us starts all anew
        finally:
            connection.close()

    threads = [Thread(target=keep, args=(gateway,), name=gateway.name, daemon=True) for gateway in binds]
    for thread in threads:
        thread.start()
    log.info("smpp gateway started", extra={"providers": [gateway.name for gateway in binds]})
    stopping.wait()
    deadline = clock() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - clock()))
    late = [thread.name for thread in threads if thread.is_alive()]
    if late:
        log.error("smpp gateway does not end in time", extra={"providers": late})
    else:
        log.info("smpp gateway ended")
    return not late and not fallen
