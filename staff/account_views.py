"""Account pages: a staff member's own second factor (enrol, renew, remove), and the reset of a colleague's who lost
their phone."""

from base64 import b32encode
from datetime import datetime
from typing import Any, cast

import segno
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe
from django_otp import DEVICE_ID_SESSION_KEY

from clients.client_ip import caller_address
from staff import second_factor, sessions
from staff.login_views import complete, try_code, wanted
from staff.pages import CodeForm, ReasonForm, page, staff_page

_KEY = "staff_enrolling"
"""Session key of the app key during enrolment. The key is in that session alone: whoever knew the password before saw
another key."""


@staff_page("GET", "HEAD")
def account(request: HttpRequest) -> HttpResponse:
    """Account page: state of the second factor, and what can be changed."""
    user = cast(User, request.user)
    return page(
        request,
        "account",
        device=second_factor.device_of(user),
        left=second_factor.backup_codes_left(user),
        required=second_factor.is_required(),
        ends_at=sessions.ends_at(request),
    )


@staff_page("GET", "HEAD", "POST")
def enrol(request: HttpRequest) -> HttpResponse:
    """Enrolment: the QR code, and the first code of the app that scanned it."""
    user, at = cast(User, request.user), timezone.now()
    if second_factor.device_of(user) is not None:
        return HttpResponseRedirect(reverse("staff_account"))
    key = request.session.setdefault(_KEY, second_factor.new_key())
    form = CodeForm(request.POST or None)
    fault = ""
    if form.is_valid():
        codes: list[str] = []
        verdict = try_code(request, user, lambda: codes.extend(_enrol(request, user, key, form, at=at)), at=at)
        if isinstance(verdict, HttpResponse):
            return verdict
        fault = verdict
        if not fault:
            return page(request, "codes", codes=codes, next=wanted(request), enrolled=True)
    uri = second_factor.key_uri(user, key)
    secret = b32encode(bytes.fromhex(key)).decode()
    return page(
        request,
        "enrol",
        form=form,
        fault=fault,
        qr=_qr(uri),
        uri=uri,
        next=wanted(request, default=""),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        required=second_factor.is_required(),
        status=200 if not fault else 401,
    )


@staff_page("GET", "HEAD", "POST")
def renew(request: HttpRequest) -> HttpResponse:
    """Renewal of the ten backup codes, confirmed by a code."""

    def act(user: User, typed: str, at: datetime) -> HttpResponse:
        codes = second_factor.renew_backup_codes(user, typed, at=at, address=caller_address(request.META))
        return page(request, "codes", codes=codes, next=reverse("staff_account"), enrolled=False)

    return _on_a_code(request, "renew", act)


@staff_page("GET", "HEAD", "POST")
def remove(request: HttpRequest) -> HttpResponse:
    """Removal of the app and its backup codes, confirmed by a code."""

    def act(user: User, typed: str, at: datetime) -> HttpResponse:
        second_factor.remove(user, typed, at=at, address=caller_address(request.META))
        request.session.pop(DEVICE_ID_SESSION_KEY, None)  # this session goes on, the others that it opened end
        request.session.cycle_key()
        messages.success(request, "Se quitó su segundo factor.")
        return HttpResponseRedirect(reverse("staff_enrol" if second_factor.is_required() else "staff_account"))

    return _on_a_code(request, "remove", act)


@staff_page("GET", "HEAD", "POST")
def reset(request: HttpRequest, pk: int) -> HttpResponse:
    """Reset of a colleague's second factor, with a reason."""
    actor = cast(User, request.user)
    if not actor.has_perm("auth.change_user"):  # before the lookup: the answer must not tell which ids exist
        return page(request, "forbidden", status=403, own=actor.pk == pk)
    user = get_object_or_404(User, pk=pk)
    try:
        second_factor.check_may_reset(actor, user)
    except second_factor.NotAllowed:
        return page(request, "forbidden", status=403, own=actor.pk == user.pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        done = second_factor.reset(
            user,
            by=actor.get_username(),
            reason=form.cleaned_data["motivo"],
            at=timezone.now(),
            address=caller_address(request.META),
        )
        if done:
            messages.success(request, f"Se restableció el segundo factor de {user.get_username()}.")
        else:
            messages.error(request, f"{user.get_username()} no tiene segundo factor.")
        return HttpResponseRedirect(request.path)
    return page(
        request,
        "reset",
        form=form,
        whose=user,
        device=second_factor.device_of(user),
        fault="Escriba un motivo." if request.method == "POST" else "",
    )


def _on_a_code(request: HttpRequest, name: str, act: Any) -> HttpResponse:
    """The form for a code, or the result of `act` for a valid one."""
    user, at = cast(User, request.user), timezone.now()
    if second_factor.device_of(user) is None:
        return HttpResponseRedirect(reverse("staff_account"))
    form = CodeForm(request.POST or None)
    fault = ""
    if form.is_valid():
        done: list[HttpResponse] = []
        verdict = try_code(request, user, lambda: done.append(act(user, form.cleaned_data["codigo"], at)), at=at)
        if isinstance(verdict, HttpResponse):
            return verdict
        fault = verdict
        if done:
            return done[0]
    return page(request, name, form=form, fault=fault, status=200 if not fault else 401)


def _enrol(request: HttpRequest, user: User, key: str, form: CodeForm, *, at: datetime) -> list[str]:
    codes = second_factor.enrol(user, key, form.cleaned_data["codigo"], at=at, address=caller_address(request.META))
    complete(request, user, at=at, device=second_factor.device_of(user))
    return codes


def _qr(uri: str) -> str:
    """QR code as an SVG inside the page, so that the key is sent to no other service."""
    code = segno.make(uri, error="m", micro=False)
    return mark_safe(  # noqa: S308  segno writes numbers only
        code.svg_inline(border=3, svgclass="qr", lineclass=None, omitsize=True, title="Código QR para su aplicación")
    )
