"""Staff endpoints of contract 2: the login, and the queries that its token opens."""

from functools import partial
from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from clients.errors import ApplicantNotFound, CredentialRefused
from clients.models import Applicant, audit
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.fields import checked
from external_api.frontdoor.query import query_of
from external_api.frontdoor.views import header_credential
from external_api.informaperu import staff_presenters as shown
from external_api.informaperu.serializers import Login
from external_api.informaperu.staff_login import count_try, log_in
from external_api.informaperu.staff_paging import page
from external_api.informaperu.staff_rights import (
    CLIENTS,
    MESSAGES,
    TOKENS,
    Visibility,
    required_visibility,
    visibility_of,
)
from external_api.informaperu.staff_serializers import ClientsQuery, MessagesQuery, checked_query
from external_api.informaperu.staff_tokens import TOKEN_LIFETIME, issue_for, user_of_token
from external_api.informaperu.views import InformaPeruView, client_id
from messaging.models import Message
from tokens.models import VerificationToken
from tokens.search import ids_reached_at

PRIVATE = {"Cache-Control": "no-store"}
MAX_TOKENS_SHOWN = 100
"""Codes shown with a client. The ladder allows at most eight a day."""


class LoginView(InformaPeruView):
    """Open also where the contract is closed to all but partners; counted per address."""

    action = "login"
    http_method_names = ["post"]
    takes_credential = False

    def post(self, request: HttpRequest) -> Answer:
        count_try(self.address)
        query_of(request)  # axes reads the query when it records a failure, and a hostile one would make it fail
        typed = checked(Login, self.body)
        user = log_in(request, typed["username"], typed["password"], typed["codigo"], at=self.at)
        self.user_name = user.get_username()
        body = {
            "token": issue_for(user, at=self.at),
            "token_type": "Bearer",
            "expires_in": int(TOKEN_LIFETIME.total_seconds()),
        }
        return Answer(200, body, PRIVATE)


class StaffView(InformaPeruView):
    """Base of endpoints that need the token of a staff login, never a partner's; the user's rights limit the rows."""

    http_method_names = ["get", "head"]
    user: User

    def check_credential(self, request: HttpRequest, *, in_body: Any = None) -> None:
        raw = header_credential(request)
        try:
            if raw is None:
                raise CredentialRefused
            self.user = user_of_token(raw.strip())
            self.user_name = self.user.get_username()
        except CredentialRefused as fault:
            raise self._unauthorized() from fault

    def audit_query(self, asked: dict[str, str], *, rows: int, visibility: Visibility) -> None:
        """Audit the query, with its user as subject; personal values in the filter are redacted there."""
        audit(
            self.user,
            "staff_api.queried",
            at=self.at,
            by=self.user_name,
            address=self.address,
            query=self.action,
            filter=asked,
            rows=rows,
            shown=visibility.value,
        )

    def page_of(
        self, request: HttpRequest, rows: QuerySet[Any], asked: Any, given: dict[str, str], present: Any
    ) -> Answer:
        """Answer a page of rows and audit the query; `present` turns a row into JSON."""
        body = page(rows, asked=asked, given=given, path=request.path, present=present)
        visibility = cast("Visibility", present.keywords["visibility"])
        self.audit_query(filters(asked, given), rows=len(body["data"]), visibility=visibility)
        return Answer(200, body, PRIVATE)


class ClientsView(StaffView):
    action = "admin/clients"

    def get(self, request: HttpRequest) -> Answer:
        visibility = required_visibility(self.user, CLIENTS)
        asked, given = checked_query(ClientsQuery, request)
        rows = _filtered(
            Applicant.objects.select_related("partner"),
            asked,
            document_number=asked["documento"],
            email=asked["correo"],
            state=asked["estado"],
        )
        if asked["telefono"]:
            rows = rows.filter(pk__in=ids_reached_at(asked["telefono"]))
        return self.page_of(request, rows, asked, given, partial(shown.client_row, visibility=visibility))


class ClientDetailView(StaffView):
    action = "admin/clients/:id"

    def get(self, request: HttpRequest, client: str) -> Answer:
        visibility = required_visibility(self.user, CLIENTS)
        applicant = Applicant.objects.select_related("partner").filter(pk=client_id(client)).first()
        if applicant is None:
            raise ApplicantNotFound
        self.audit_query({"id": str(applicant.pk)}, rows=1, visibility=visibility)
        return Answer(200, {"data": shown.client_detail(applicant, visibility, self.codes_of(applicant))}, PRIVATE)

    def codes_of(self, applicant: Applicant) -> list[dict[str, Any]] | None:
        """The newest codes with their messages, each within its own right; None: no codes for this user."""
        of_tokens, of_messages = visibility_of(self.user, TOKENS), visibility_of(self.user, MESSAGES)
        if of_tokens is Visibility.NONE:
            return None
        tokens = list(VerificationToken.objects.filter(applicant=applicant).order_by("-created_at")[:MAX_TOKENS_SHOWN])
        messages: list[Message] = []
        if of_messages is not Visibility.NONE:
            of_codes = _with_events().filter(reference__in=[token.pk for token in tokens])
            messages = list(of_codes.order_by("created_at"))
        return shown.codes_with_messages(tokens, messages, of_tokens=of_tokens, of_messages=of_messages)


class MessagesView(StaffView):
    action = "admin/messages"

    def get(self, request: HttpRequest) -> Answer:
        visibility = required_visibility(self.user, MESSAGES)
        asked, given = checked_query(MessagesQuery, request)
        rows = _filtered(
            _with_events(),
            asked,
            via=asked["via"],
            state=asked["estado"],
            recipient=asked["destino"],
            reference=asked["token"],
        )
        return self.page_of(request, rows, asked, given, partial(shown.message_row, visibility=visibility))


def filters(asked: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """The filter of a query, each value as it is stored: so an erasure finds it in the audit."""
    as_stored = {name: asked[name] for name in given if name != "limit"}
    return {name: value if isinstance(value, str) else given[name] for name, value in as_stored.items()}


def _with_events() -> QuerySet[Message]:
    return Message.objects.select_related("partner").prefetch_related("events").defer("html", "sealed")


def _filtered(rows: QuerySet[Any], asked: dict[str, Any], **own: Any) -> QuerySet[Any]:
    """Filter by the partner and the days, as every list can be, and by the list's own columns, where given."""
    given = {"partner__slug": asked["empresa"], "created_at__gte": asked["desde"], "created_at__lt": asked["hasta"]}
    return rows.filter(**{column: value for column, value in (given | own).items() if value})
