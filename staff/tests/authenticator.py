"""What an authenticator app shows, for tests that log staff in."""

import time
from datetime import timedelta

from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

STEP = 30
LONGEST_TEST = 4
"""Seconds from a code to its use at most, on a busy machine."""


def code(key, steps=0):
    """What an app with this key shows, now or some steps of 30 s from now. Where the step of an earlier code would
    end before it is used, it waits for the next step: a code of two steps ago is refused."""
    left = STEP - time.time() % STEP
    if steps < 0 and left < LONGEST_TEST:
        time.sleep(left)
    totp = TOTP(bytes.fromhex(key))
    totp.time = time.time() + STEP * steps
    return f"{totp.token():06d}"


def wrong(key):
    """Six digits that no step nearby shows."""
    near = {code(key, steps) for steps in range(-3, 4)}
    return next(
        each for each in ("000000", "111111", "222222", "333333", "444444", "555555", "666666") if each not in near
    )


def rested():
    """The wait after a wrong code is over."""
    for model in (TOTPDevice, StaticDevice):
        model.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(days=1))
