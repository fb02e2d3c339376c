"""Views of the public pages: parse, call, answer. GET changes nothing anywhere."""

import re

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone

from clients.client_ip import caller_address
from clients.identity.emails import InvalidEmail
from subscription import asking, confirming, managing, page_cookie, withdrawing
from subscription.consent import withdrawal_from
from subscription.errors import NothingChosen, TextHasChanged, UnusableLink
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.pages import form_page, link_page, page

Purpose = SubscriptionRequest.Purpose


@form_page
def ask(request: HttpRequest) -> HttpResponse:
    """Page that asks for an address to subscribe, with the same answer to every address given."""
    return _ask(request, Purpose.CONFIRM, "ask", "asked")


@form_page
def ask_to_manage(request: HttpRequest) -> HttpResponse:
    """Page that asks for an address to see its subscriptions, with the same answer to every address given."""
    return _ask(request, Purpose.MANAGE, "ask_to_manage", "asked_to_manage")


def _ask(request: HttpRequest, purpose: str, form: str, done: str) -> HttpResponse:
    if not asking.is_available():
        return page(request, "unavailable", status=503)
    if request.method != "POST":
        return page(request, form)
    address = caller_address(request.META)
    wait = asking.count_caller(address)
    if wait:
        refused = page(request, "too_many", status=429, minutes=-(-wait // 60))
        refused.headers["Retry-After"] = str(wait)
        return refused
    typed = request.POST.get("correo", "")
    try:
        email = asking.canonical_typed(typed)
    except InvalidEmail:
        return page(request, form, status=400, typed=typed[:300], faulty=True)
    asking.ask(email, purpose=purpose, address=address, at=timezone.now())
    return page(request, done)


@link_page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Page of a confirmation link: shows the partners and the text; only the button of this page subscribes."""
    at = timezone.now()
    try:
        if request.method != "POST":
            return _with_cookie(page(request, "confirm", offer=confirming.offer(token, at=at)), request, token)
        if not page_cookie.has(request, token):
            confirming.offer(token, at=at)  # an unusable link is said to be one
            return page(request, "needs_cookie", status=403, path=request.path)
        chosen = None if "todas" in request.POST else _numbers(request.POST.getlist("empresa"))
        digest = request.POST.get("texto", "")
        confirmed = confirming.confirm(token, digest=digest, chosen=chosen, address=caller_address(request.META), at=at)
        return page(request, "confirmed", offer=confirmed)
    except TextHasChanged as error:
        return page(request, "confirm", status=409, offer=error.offer, changed=True)
    except NothingChosen as error:
        return page(request, "confirm", status=400, offer=error.offer, faulty=True)
    except UnusableLink:
        return page(request, "unusable_link", status=410, available=asking.is_available())


@link_page
def manage(request: HttpRequest, token: str) -> HttpResponse:
    """Page of a link to one's subscriptions: a button for each company, and one for all."""
    at = timezone.now()
    try:
        link = managing.request_of_link(token, at=at)
    except UnusableLink:
        return page(request, "unusable_managing_link", status=410, available=asking.is_available())
    left, everywhere = None, "todas" in request.POST
    if request.method == "POST":
        if not page_cookie.has(request, token):
            return page(request, "needs_cookie", status=403, path=request.path)
        named = _numbers([request.POST.get("empresa", "")])
        if everywhere or named:
            partner = None if everywhere else named[0]
            left, _ = managing.leave(link, partner=partner, address=caller_address(request.META), at=at)
    found = managing.subscriptions(link.email)
    shown = page(request, "manage", mailbox=link.email, subscriptions=found, left=left, everywhere=everywhere)
    return _with_cookie(shown, request, token)


def _with_cookie(response: HttpResponse, request: HttpRequest, token: str) -> HttpResponse:
    page_cookie.set_on(response, request, token)
    return response


def _numbers(values: list[str]) -> list[int]:
    return [int(value) for value in values if re.fullmatch(r"[0-9]{1,15}", value, re.ASCII)]


@link_page
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Page of the link in every bulletin: buttons for people, one POST for mail programs.

    A POST without the page's own field is a mail program's, whatever its body and content type (RFC 8058, section 3.2,
    asks for `List-Unsubscribe=One-Click` as a form; some programs send it otherwise).
    """
    scope = _form(request).get("alcance", "")
    one_click = request.method == "POST" and scope not in ("empresa", "todas")
    try:
        if request.method != "POST":
            client, _ = withdrawing.client_of_link(token)
            texts = (withdrawal_from(client.partner.name).text, withdrawal_from(None).text)
            return page(request, "unsubscribe", mailbox=_masked(client.email), texts=texts)
        how = ConsentRecord.How.ONE_CLICK if one_click else ConsentRecord.How.PAGE
        everywhere = scope == "todas"
        client = withdrawing.withdraw(
            token,
            how=how,
            everywhere=everywhere,
            campaign=_campaign(request),
            address=caller_address(request.META),
            at=timezone.now(),
        )
    except UnusableLink:
        return _plain("Enlace de baja no válido.", 404) if one_click else page(request, "no_such_link", status=404)
    if one_click:
        return _plain("Suscripción cancelada.")
    return page(request, "unsubscribed", client=client, everywhere=everywhere)


def _form(request: HttpRequest) -> QueryDict:
    """Fields of a form; none where the body is no form that can be read."""
    try:
        return request.POST
    except (MultiPartParserError, BadRequest, SuspiciousOperation):
        return QueryDict()


def _campaign(request: HttpRequest) -> int | None:
    """Campaign whose mail the link is in, for its figures. It grants nothing."""
    return next(iter(_numbers([request.GET.get("c", "")])), None)


def _plain(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")


def _masked(email: str) -> str:
    """Enough to recognise one's own mailbox; the mail with the link may have been forwarded."""
    local, _, domain = email.rpartition("@")
    return f"{local[0]}•••@{domain}"
