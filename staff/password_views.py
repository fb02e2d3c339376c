"""Pages for a forgotten password. They are outside of what needs a login, with the limits of the login."""

import logging
from datetime import timedelta
from typing import Any

from celery import current_app
from django import forms
from django.conf import settings
from django.contrib.auth.forms import SetPasswordForm
from django.core.validators import MaxLengthValidator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from clients import hashing
from clients.client_ip import caller_address
from clients.rate_limits.redis_client import BrokerUnavailable, broker
from staff import authentication, passwords
from staff.lockout_pages import too_many
from staff.pages import page, staff_page

log = logging.getLogger(__name__)

SEND_TASK = "messaging.send_reset_links"
"""Name of the task that sends the mails (messaging.tasks, which this app does not import)."""
LINK_LASTS = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)


class NameForm(forms.Form):
    username = forms.CharField(max_length=150, strip=True)


class NewPasswordForm(SetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.validators.append(MaxLengthValidator(128))  # the login takes no more


def is_offered() -> bool:
    return bool(settings.AVAL_GATEWAYS["C"])


@staff_page("GET", "HEAD", "POST")
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for a link by mail. The answer is the same for every name."""
    if not is_offered():
        raise Http404
    form = NameForm(request.POST or None)
    if not form.is_valid():
        return page(request, "forgotten", form=form)
    address = caller_address(request.META)
    try:
        authentication.count_try(address)
    except authentication.TooManyTries as limit:
        return too_many(request, limit.seconds)
    passwords.ask_for_link(form.cleaned_data["username"], at=timezone.now(), address=address)
    _wake_sender()
    return page(request, "forgotten_asked", minutes=LINK_LASTS // timedelta(minutes=1))


@staff_page("GET", "HEAD", "POST")
def new_password(request: HttpRequest, key: str, token: str) -> HttpResponse:
    """New password by the link of the mail. A GET changes nothing: mail scanners open links too."""
    address = caller_address(request.META)
    try:
        authentication.count_try(address)
        user = passwords.user_of_link(key, token)
        form = NewPasswordForm(user, request.POST if request.method == "POST" else None)
        with hashing.slot():  # the form compares nothing, but a new password is hashed
            if form.is_valid():
                password = form.cleaned_data["new_password1"]
                passwords.reset(key, token, password, at=timezone.now(), address=address)
                return HttpResponseRedirect(f"{reverse('staff_login')}?motivo=clave")
    except authentication.TooManyTries as limit:
        return too_many(request, limit.seconds)
    except hashing.HashesBusy:
        return too_many(request, hashing.RETRY_AFTER)
    except passwords.LinkRefused:
        return page(request, "link_refused", offered=is_offered(), status=410)
    return page(request, "new_password", form=form, whose=user, status=200 if request.method != "POST" else 400)


def _wake_sender() -> None:
    """Tell a worker to send the mails now. Without a broker the periodic task sends them within a minute."""
    try:
        with broker, current_app.producer_pool.acquire(block=True) as producer:
            current_app.send_task(SEND_TASK, expires=60, retry=False, ignore_result=True, producer=producer)
    except BrokerUnavailable:
        log.info("a mail for a forgotten password waits for the periodic task")
