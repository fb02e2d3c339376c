"""The staff's endpoints of contract 2: the login, and what an agent may look up with its token."""

from functools import partial
from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework.request import Request

from clients.errors import ApplicantNotFound, CredentialRefused
from clients.models import Applicant, audit
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.fields import checked
from external_api.informaperu import staff_presenters as shown
from external_api.informaperu.serializers import Login
from external_api.informaperu.staff_login import count_try, log_in
from external_api.informaperu.staff_paging import page
from external_api.informaperu.staff_rights import CLIENTS, MESSAGES, TOKENS, Sight, required_sight, sight_of
from external_api.informaperu.staff_serializers import ClientsQuery, MessagesQuery, checked_query, query_of
from external_api.informaperu.staff_tokens import LIFE, issue_for, user_behind
from external_api.informaperu.views import InformaPeruView, client_id
from messaging.models import Message
from tokens.models import VerificationToken
from tokens.search import ids_reached_at

PRIVATE = {"Cache-Control": "no-store"}
NEWEST_TOKENS = 100
"""Codes shown with a client. The ladder lets an eager one ask for eight a day."""


class LoginView(InformaPeruView):
    """Open also where the contract is closed to all but partners; counted per address."""

    action = "login"
    http_method_names = ["post"]
    takes_credential = False

    def post(self, request: Request) -> Answer:
        count_try(self.address)
        query_of(request)  # axes reads the query when it writes a failure down, and would stumble over a hostile one
        typed = checked(Login, self.body)
        user = log_in(request._request, typed["username"], typed["password"], typed["codigo"], at=self.at)
        self.user_name = user.get_username()
        body = {"token": issue_for(user, at=self.at), "token_type": "Bearer", "expires_in": int(LIFE.total_seconds())}
        return Answer(200, body, PRIVATE)


class StaffView(InformaPeruView):
    """Opened by the token of a staff login, never by a partner's credential; what it shows, its user's rights say."""

    http_method_names = ["get", "head"]
    user: User

    def check_credential(self, request: Request, *, in_body: Any = None) -> None:
        scheme, _, raw = request.headers.get("Authorization", "").strip().partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise CredentialRefused
            self.user = user_behind(raw.strip())
            self.user_name = self.user.get_username()
        except CredentialRefused as fault:
            raise self._unauthorized() from fault

    def write_down(self, asked: dict[str, str], *, rows: int, sight: Sight) -> None:
        """The query in the audit, about its user: personal values among what was asked are redacted there."""
        audit(
            self.user,
            "staff_api.queried",
            at=self.at,
            by=self.user_name,
            address=self.address,
            query=self.action,
            filter=asked,
            rows=rows,
            shown=sight.value,
        )

    def listed(self, request: Request, rows: QuerySet[Any], asked: Any, kept: dict[str, str], present: Any) -> Answer:
        """A page of rows, written down; `present` puts a row into words."""
        body = page(rows, asked=asked, kept=kept, path=request.path, present=present)
        sight = cast("Sight", present.keywords["sight"])
        self.write_down(filters(asked, kept), rows=len(body["data"]), sight=sight)
        return Answer(200, body, PRIVATE)


class ClientsView(StaffView):
    action = "admin/clients"

    def get(self, request: Request) -> Answer:
        sight = required_sight(self.user, CLIENTS)
        asked, kept = checked_query(ClientsQuery, request)
        rows = _filtered(
            Applicant.objects.select_related("partner"),
            asked,
            document_number=asked["documento"],
            email=asked["correo"],
            state=asked["estado"],
        )
        if asked["telefono"]:
            rows = rows.filter(pk__in=ids_reached_at(asked["telefono"]))
        return self.listed(request, rows, asked, kept, partial(shown.client_row, sight=sight))


class ClientDetailView(StaffView):
    action = "admin/clients/:id"

    def get(self, request: Request, client: str) -> Answer:
        sight = required_sight(self.user, CLIENTS)
        applicant = Applicant.objects.select_related("partner").filter(pk=client_id(client)).first()
        if applicant is None:
            raise ApplicantNotFound
        self.write_down({"id": str(applicant.pk)}, rows=1, sight=sight)
        return Answer(200, {"data": shown.client_detail(applicant, sight, self.codes_of(applicant))}, PRIVATE)

    def codes_of(self, applicant: Applicant) -> list[dict[str, Any]] | None:
        """Its newest codes with their messages, each as far as its own right goes; None: no codes for this user."""
        of_tokens, of_messages = sight_of(self.user, TOKENS), sight_of(self.user, MESSAGES)
        if of_tokens is Sight.NONE:
            return None
        tokens = list(VerificationToken.objects.filter(applicant=applicant).order_by("-created_at")[:NEWEST_TOKENS])
        messages: list[Message] = []
        if of_messages is not Sight.NONE:
            of_codes = _with_events().filter(reference__in=[token.pk for token in tokens])
            messages = list(of_codes.order_by("created_at"))
        return shown.codes_with_messages(tokens, messages, of_tokens=of_tokens, of_messages=of_messages)


class MessagesView(StaffView):
    action = "admin/messages"

    def get(self, request: Request) -> Answer:
        sight = required_sight(self.user, MESSAGES)
        asked, kept = checked_query(MessagesQuery, request)
        rows = _filtered(
            _with_events(),
            asked,
            via=asked["via"],
            state=asked["estado"],
            recipient=asked["destino"],
            reference=asked["token"],
        )
        return self.listed(request, rows, asked, kept, partial(shown.message_row, sight=sight))


def filters(asked: dict[str, Any], kept: dict[str, str]) -> dict[str, str]:
    """What was asked for, each value in the spelling it is stored in: so an erasure finds it in the audit."""
    as_stored = {name: asked[name] for name in kept if name != "limit"}
    return {name: value if isinstance(value, str) else kept[name] for name, value in as_stored.items()}


def _with_events() -> QuerySet[Message]:
    return Message.objects.select_related("partner").prefetch_related("events").defer("html", "sealed")


def _filtered(rows: QuerySet[Any], asked: dict[str, Any], **own: Any) -> QuerySet[Any]:
    """By what every list is filtered by, the partner and the days, and by the list's own columns, where asked."""
    given = {"partner__slug": asked["empresa"], "created_at__gte": asked["desde"], "created_at__lt": asked["hasta"]}
    return rows.filter(**{column: value for column, value in (given | own).items() if value})
