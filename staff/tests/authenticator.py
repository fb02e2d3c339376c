"""What an authenticator app shows, for tests that log staff in."""

import time
from datetime import timedelta

from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice


def code(key, steps=0):
    """What an app with this key shows, now or some steps of 30 s from now."""
    totp = TOTP(bytes.fromhex(key))
    totp.time = time.time() + 30 * steps
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
