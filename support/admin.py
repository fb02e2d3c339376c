"""Devices of the second factor have no pages in the admin: django-otp's would show, and let anybody with the right
make, the keys of others. Staff enrols at `/cuenta/`, and resets there."""

from django.contrib import admin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

for model in (StaticDevice, TOTPDevice):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
