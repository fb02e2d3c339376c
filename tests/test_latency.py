"""Latency of a code to its provider, on an idle installation."""

import time
from datetime import UTC, datetime
from statistics import median

from config.run.processes import wait_until
from testkit.stack import Stack

SAMPLES = 20


def test_a_code_reaches_its_provider_within_a_second(stack: Stack) -> None:
    seconds = [_seconds_to_the_outbox(stack) for _ in range(SAMPLES)]
    assert median(seconds) < 1, seconds


def _seconds_to_the_outbox(stack: Stack) -> float:
    """Seconds from before the request to the row that the gateway wrote."""
    client, phone = stack.register(), stack.phone()
    asked = datetime.now(UTC)
    assert stack.ask(client, phone).status_code == 200
    arrived = 'SELECT created FROM messaging_sandboxmessage WHERE "to" = %s'
    assert wait_until(lambda: bool(stack.sql(arrived, phone)), 20)
    time.sleep(0.05)  # until the installation is idle again
    return float((stack.sql(arrived, phone)[0][0] - asked).total_seconds())
