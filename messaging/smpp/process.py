"""The process `manage.py smpp_gateway`: one thread for each smpp:// gateway of SMS_URL."""

import logging
from collections.abc import Sequence
from threading import Event, Thread

from django.db import connection

from messaging.gateways import gateways_for
from messaging.gateways.smpp import SmppGateway
from messaging.smpp.bind import Bind
from messaging.smpp.timing import Timing, clock

log = logging.getLogger(__name__)

STOP_TIMEOUT = 25.0
"""Seconds to wait for the threads at shutdown. Outstanding answers take up to 10, an attempt to connect or a statement
5. Supervisors kill after 30; messages that are outstanding then become UNKNOWN."""


def gateways() -> list[SmppGateway]:
    """The gateways of SMS_URL that need this process."""
    return [gateway for gateway in gateways_for("S") if isinstance(gateway, SmppGateway)]


def run(binds: Sequence[SmppGateway], stopping: Event, timing: Timing | None = None) -> bool:
    """Run all binds until `stopping` is set and they have ended. False: one failed, or did not end in time."""
    failed: list[str] = []

    def run_bind(gateway: SmppGateway) -> None:
        try:
            Bind(gateway, stopping, timing).run()
        except Exception:
            log.exception("an smpp bind fell", extra={"provider": gateway.name})
            failed.append(gateway.name)
            stopping.set()  # a process that lacks a bind would look healthy; the supervisor restarts all of it
        finally:
            connection.close()

    threads = [Thread(target=run_bind, args=(gateway,), name=gateway.name, daemon=True) for gateway in binds]
    for thread in threads:
        thread.start()
    log.info("smpp gateway started", extra={"providers": [gateway.name for gateway in binds]})
    stopping.wait()
    deadline = clock() + STOP_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - clock()))
    late = [thread.name for thread in threads if thread.is_alive()]
    if late:
        log.error("smpp gateway does not end in time", extra={"providers": late})
    else:
        log.info("smpp gateway ended")
    return not late and not failed
