"""Login pages of staff: name and password, then the code of the second factor if the account has one.

Nobody is logged in until the code is given: the session only knows who may try one, for a few minutes. So a password
alone opens nothing and does not reset the count of failures.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django_otp import login as remember_device

from clients import hashing
from clients.client_ip import caller_address
from staff import authentication, login_marks, passwords, second_factor, sessions
from staff.lockout_pages import locked, too_many
from staff.middleware import MUST_CHANGE, is_complete
from staff.pages import CodeForm, page, staff_page

CODE_WITHIN = timedelta(minutes=5)
"""Time from the password to the code; after it the password is asked again."""
_PENDING = "staff_password_given"
_SECOND_STEP = "aval.second-step"
_NOTICES = {
    sessions.Ended.IDLE.value: "Su sesión terminó: pasó {idle} minutos sin usarla. Ingrese de nuevo.",
    sessions.Ended.OLD.value: "Su sesión terminó: duró {hours} horas, lo máximo. Ingrese de nuevo.",
    sessions.Ended.FACTOR_GONE.value: "Su sesión terminó: el segundo factor con que ingresó ya no vale.",
    sessions.Ended.TOO_SLOW.value: "Pasaron más de 5 minutos desde su contraseña. Ingrese de nuevo.",
    "salida": "Salió de su sesión.",
    "clave": "Su contraseña cambió. Ingrese con la nueva.",
}
_BACKEND = "django.contrib.auth.backends.ModelBackend"


class PasswordForm(forms.Form):
    username = forms.CharField(
        label="Nombre de usuario",
        max_length=150,
        strip=True,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Contraseña",
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


@staff_page("GET", "HEAD", "POST")
def password(request: HttpRequest) -> HttpResponse:
    """Name and password."""
    at = timezone.now()
    user = request.user
    if request.method != "POST" and isinstance(user, User) and user.is_staff and is_complete(request, user):
        return HttpResponseRedirect(wanted(request))
    form = PasswordForm(request.POST or None)
    fault = ""
    if form.is_valid():
        name = form.cleaned_data["username"]
        try:
            authentication.count_try(caller_address(request.META))
            with authentication.password_try(request, name, at=at):
                found = authentication.password_is_of(request, name, form.cleaned_data["password"], at=at)
        except authentication.LockedOut as lock:
            return locked(request, lock.seconds)
        except authentication.TooManyTries as limit:
            return too_many(request, limit.seconds)
        except hashing.HashesBusy:
            return too_many(request, hashing.RETRY_AFTER)
        if found is not None:
            return _after_password(request, found, at=at)
        fault = "Usuario o contraseña incorrectos."
    return page(
        request,
        "login",
        form=form,
        fault=fault,
        next=wanted(request, default=""),
        notice=_notice(request),
        may_forget=bool(settings.AVAL_GATEWAYS["C"]),
        status=200 if request.method != "POST" or not fault else 401,
    )


@staff_page("GET", "HEAD", "POST")
def code(request: HttpRequest, backup: bool = False) -> HttpResponse:
    """Code of the app, or a backup code."""
    at = timezone.now()
    user = who_may_try(request, at=at)
    if user is None:
        asked = {"motivo": sessions.Ended.TOO_SLOW.value} if _PENDING in request.session else {}
        return HttpResponseRedirect(f"{reverse('staff_login')}?{urlencode({**asked, 'next': wanted(request)})}")
    if request.user.is_authenticated and is_complete(request, user):
        return HttpResponseRedirect(wanted(request))
    form = CodeForm(request.POST or None)
    fault = ""
    if form.is_valid():
        verdict = try_code(request, user, lambda: _check(request, user, form, at=at), at=at)
        if isinstance(verdict, HttpResponse):
            return verdict
        fault = verdict
        if not fault:
            return HttpResponseRedirect(wanted(request))
    return page(
        request,
        "backup" if backup else "code",
        form=form,
        fault=fault,
        next=wanted(request, default=""),
        status=200 if request.method != "POST" else 401,
    )


def who_may_try(request: HttpRequest, *, at: datetime) -> User | None:
    """User whose code is asked for: they just gave their password, or are logged in by a password alone."""
    if isinstance(request.user, User):
        return request.user if request.user.is_staff else None
    kept = request.session.get(_PENDING)
    if not isinstance(kept, dict) or at.timestamp() - kept["at"] > CODE_WITHIN.total_seconds():
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True, is_staff=True).first()
    if user is None or not login_marks.is_mark_of(user, _SECOND_STEP, kept["login"]):
        return None  # the password was changed in between
    return user


def try_code(request: HttpRequest, user: User, attempt: Any, *, at: datetime) -> HttpResponse | str:
    """Run `attempt`, one at a time and counted together with passwords. Returns "" on success, a text for the user, or
    the whole response once the five tries are used up and the login starts again."""
    name = user.get_username()
    try:
        authentication.count_try(caller_address(request.META))
        with authentication.one_try(request, name, at=at):
            try:
                attempt()
                return ""
            except second_factor.AlreadyEnrolled:
                return HttpResponseRedirect(reverse("staff_account"))  # completed in another window
            except second_factor.TryLater as wait:
                return f"Espere {wait.seconds} {'segundo' if wait.seconds == 1 else 'segundos'} e intente de nuevo."
            except (second_factor.CodeRefused, second_factor.NotEnrolled):
                authentication.count_failure(request, name, at=at)
    except authentication.LockedOut as lock:
        return locked(request, lock.seconds)
    except authentication.TooManyTries as limit:
        return too_many(request, limit.seconds)
    if authentication.seconds_locked(request, name, at=at):
        return locked(request, authentication.seconds_locked(request, name, at=at))
    return "El código no es correcto, ya se usó o ya venció."


def complete(request: HttpRequest, user: User, *, at: datetime, device: Any = None) -> None:
    """Complete the login: a session with a new key and without the old data."""
    request.session.flush()
    login(request, user, backend=_BACKEND)
    if passwords.must_change(user):
        request.session[MUST_CHANGE] = True
    authentication.count_success(request, user.get_username(), at=at)
    if device is not None:
        remember_device(request, device)


def wanted(request: HttpRequest, *, default: str = "/admin/") -> str:
    """URL to continue to, never on another site."""
    to = request.POST.get("next") or request.GET.get("next") or ""
    return to if url_has_allowed_host_and_scheme(to, {request.get_host()}, request.is_secure()) else default


def _after_password(request: HttpRequest, user: User, *, at: datetime) -> HttpResponse:
    to = wanted(request)
    if second_factor.device_of(user) is None:
        complete(request, user, at=at)  # where a second factor is required, the guard redirects to the enrolment
        return HttpResponseRedirect(to)
    request.session.flush()
    request.session[_PENDING] = {
        "user": user.pk,
        "login": login_marks.mark_of(user, _SECOND_STEP),
        "at": at.timestamp(),
    }
    return HttpResponseRedirect(f"{reverse('staff_code')}?{urlencode({'next': to})}")


def _check(request: HttpRequest, user: User, form: CodeForm, *, at: datetime) -> None:
    address = caller_address(request.META)
    device = second_factor.check(user, form.cleaned_data["codigo"], at=at, address=address)
    complete(request, user, at=at, device=device)


def _notice(request: HttpRequest) -> str:
    words = _NOTICES.get(request.GET.get("motivo", ""), "") if request.method != "POST" else ""
    return words.format(idle=settings.SESSION_IDLE_MINUTES, hours=settings.SESSION_HOURS)
