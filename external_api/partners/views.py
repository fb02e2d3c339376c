"""Views of the API for partners."""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest

from clients.events import feed
from clients.local_time import LIMA
from clients.models import Credential, Partner
from external_api.frontdoor import limits
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.errors import InvalidFields
from external_api.frontdoor.export_slots import Slot
from external_api.frontdoor.fields import checked
from external_api.frontdoor.query import query_of
from external_api.frontdoor.views import ContractView, UnknownPath
from external_api.partners import presenters, usage
from external_api.partners.contract import PARTNERS, NoSuchResource
from external_api.partners.serializers import MOST_DAYS, FeedQuery, UsageQuery
from messaging import caps
from messaging.models import Message, Via
from tokens import reasons
from tokens.models import VerificationToken

ASK_AGAIN_SECONDS = 5
"""Seconds until a reader of the feed that has read everything need ask again."""
MOST_KEYS = 100
"""Keys shown, the newest first."""


class PartnersView(ContractView):
    """Base of the endpoints. The answer must not be kept: it is about one partner, and changes.

    A view that writes has its methods in `http_method_names`.
    """

    contract = PARTNERS
    http_method_names = ["get", "head"]
    answer_headers: ClassVar[Mapping[str, str]] = {"Cache-Control": "no-store"}

    def _allows(self, credential: Credential) -> bool:
        """Any live credential: no contract must be allowed for it."""
        return credential.kind in self.contract.credential_kinds

    @property
    def owner(self) -> Partner:
        assert self.partner is not None, "initial() refuses a call without a credential"  # noqa: S101  narrows the type
        return self.partner


class MeView(PartnersView):
    action = "me"

    def get(self, request: HttpRequest) -> Answer:
        assert self.credential is not None, "as in `owner`"  # noqa: S101  narrows the type
        not_over = Q(expires_at__isnull=True) | Q(expires_at__gt=self.at)
        live = self.owner.credentials.filter(not_over, revoked_at__isnull=True).order_by("-created_at", "-pk")
        return Answer(200, presenters.partner(self.owner, live[:MOST_KEYS], self.credential, self._limits()))

    def _limits(self) -> dict[str, dict[str, int | None]]:
        """Limits, and what is left of them: today's for messages, the minute's for requests where it is known."""
        found: dict[str, dict[str, int | None]] = {
            "requests_per_minute": {"limit": self.caller.requests_per_minute, "remaining": limits.left(self.caller)}
        }
        for via in Via.values:
            if self.owner.is_twin:  # its messages have no cap
                found[f"messages_per_day_{via}"] = {"limit": None, "remaining": None}
                continue
            cap, left = caps.left_today(via, caller=self.caller.key, partner=self.owner, at=self.at)
            found[f"messages_per_day_{via}"] = {"limit": cap, "remaining": left}
        return found


class MessageView(PartnersView):
    action = "message"

    def get(self, request: HttpRequest, message: str) -> Answer:
        key = uuid_of(message)
        row = Message.objects.filter(pk=key, partner=self.owner).first()
        if row is None:
            raise NoSuchResource
        return Answer(200, presenters.message(row))


class VerificationView(PartnersView):
    action = "verification"

    def get(self, request: HttpRequest, verification: str) -> Answer:
        token = VerificationToken.objects.filter(pk=uuid_of(verification), applicant__partner=self.owner).first()
        if token is None:
            raise NoSuchResource
        messages = Message.objects.filter(reference=token.pk).order_by("created_at", "pk")
        return Answer(200, presenters.verification(token, list(messages), reasons.of_code(token, at=self.at)))


class UsageView(PartnersView):
    """Counts that are not kept yet take seconds, so each partner may ask for one at a time, as for exports."""

    action = "usage"

    def get(self, request: HttpRequest) -> Answer:
        asked = checked(UsageQuery, query_of(request))
        until = asked["until"] or self.at.astimezone(LIMA).date()
        since = asked["since"] or until.replace(day=1)
        if since > until:
            raise InvalidFields({"from": ["Es posterior al último día."]})
        if until - since >= timedelta(days=MOST_DAYS):
            raise InvalidFields({"from": [f"Son más de {MOST_DAYS} días."]})
        slot = Slot(f"usage:{self.owner.pk}")
        try:
            found = usage.read(self.owner.pk, since, until, at=self.at)
        finally:
            slot.release()
        body = {
            "from": since.isoformat(),
            "to": until.isoformat(),
            "by": asked["by"],
            "rows": usage.rows(found.counts, asked["by"]),
            "missing": [each.isoformat() for each in found.missing],
        }
        return Answer(200, body)


class EventsView(PartnersView):
    """The feed. A success is not in the log of requests: a reader asks every few seconds."""

    action = "events"

    def get(self, request: HttpRequest) -> Answer:
        asked = checked(FeedQuery, query_of(request))
        page = feed.read(self.owner.pk, asked["after"], types=asked["types"], limit=asked["limit"])
        self.logged = False
        headers = {"Retry-After": str(ASK_AGAIN_SECONDS)} if page.up_to_date else {}
        return Answer(200, presenters.feed(page), headers)


class NotFoundView(UnknownPath):
    contract = PARTNERS


def uuid_of(text: str) -> UUID:
    """Raises NoSuchResource: what is no UUID names nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise NoSuchResource from None
