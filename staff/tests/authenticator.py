"""Codes of an authenticator app, for tests that log staff in."""

import time
from datetime import timedelta

from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

STEP = 30
LONGEST_TEST = 4
"""Most seconds from a code to its use, on a busy machine."""


def code(key, steps=0):
    """Return the code of an app with this key, now or some steps of 30 s from now. A code of an earlier step waits for
    the next step if it could expire before its use: a code of two steps ago is refused."""
    left = STEP - time.time() % STEP
    if steps < 0 and left < LONGEST_TEST:
        time.sleep(left)
    totp = TOTP(bytes.fromhex(key))
    totp.time = time.time() + STEP * steps
    return f"{totp.token():06d}"


def wrong(key):
    """Return six digits that are the code of no step nearby."""
    near = {code(key, steps) for steps in range(-3, 4)}
    return next(
        each for each in ("000000", "111111", "222222", "333333", "444444", "555555", "666666") if each not in near
    )


def rested():
    """End the wait after a wrong code."""
    for model in (TOTPDevice, StaticDevice):
        model.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(days=1))
