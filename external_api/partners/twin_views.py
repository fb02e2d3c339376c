"""Views of the test twin: its keys, its clock, its outbox, and how it is emptied."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.dateparse import parse_duration
from rest_framework import serializers

from clients import twins
from external_api.frontdoor import idempotency
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.fields import REQUIRED, checked
from external_api.frontdoor.query import query_of
from external_api.partners import presenters
from external_api.partners.contract import TestKeyRequired
from external_api.partners.serializers import NoFields, given
from external_api.partners.views import PartnersView
from messaging.models import SandboxMessage
from tokens.twins import clock, rows

MOST_MESSAGES = 100
"""Messages shown, the newest first."""


class Advance(serializers.Field):
    """ISO 8601 duration of days, hours, minutes and seconds, such as `PT4H` or `P1DT12H`."""

    default_error_messages = {
        "required": REQUIRED,
        "null": REQUIRED,
        "not_a_duration": "Debe ser una duración ISO 8601, como PT4H.",
        "out_of_bounds": f"Debe ser mayor que cero y de {clock.MOST.days} días como máximo.",
    }

    def to_internal_value(self, data: Any) -> timedelta:
        if not isinstance(data, str) or not data.startswith("P") or len(data) > 50:
            self.fail("not_a_duration")
        try:
            found = parse_duration(data)
        except OverflowError:
            self.fail("out_of_bounds")
        if found is None:
            self.fail("not_a_duration")
        if not timedelta(0) < found <= clock.MOST:
            self.fail("out_of_bounds")
        return found

    def to_representation(self, value: Any) -> Any:
        return value


class ClockChange(serializers.Serializer[Any]):
    """`POST /partners/v1/test/clock`."""

    advance = Advance()


class OutboxQuery(serializers.Serializer[Any]):
    """`GET /partners/v1/test/messages`."""

    to = serializers.CharField(default="", allow_blank=True, max_length=254)


class TestKeysView(PartnersView):
    action = "test_keys"
    http_method_names = ["post"]
    answer_shows_secret = True

    def post(self, request: HttpRequest) -> Answer:
        assert self.credential is not None, "as in `owner`"  # noqa: S101  narrows the type
        by = f"{self.owner.slug}/{self.credential.prefix}"  # as in clients.external_clients
        given(NoFields, self.body)
        made = twins.issue_keys(self.owner, at=self.at, by=by, address=self.address)
        return Answer(201, {"token": made.token, "jwt": made.jwt})


class TwinView(PartnersView):
    """Base of what only a test key may do."""

    @property
    def twin(self) -> int:
        """Raises TestKeyRequired."""
        if not self.owner.is_twin:
            raise TestKeyRequired
        return int(self.owner.pk)


class ClockView(TwinView):
    action = "test_clock"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> Answer:
        twin = self.twin
        by: timedelta = given(ClockChange, self.body)["advance"]
        clock.advance(twin, by, at=self.at)
        return Answer(200, {"advanced_seconds": int(by.total_seconds())})


class ResetView(TwinView):
    action = "test_reset"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> Answer:
        twin = self.twin
        given(NoFields, self.body)
        removed = rows.empty(twin, at=self.at)
        idempotency.forget(self.owner)
        return Answer(200, {"removed": removed})


class OutboxView(TwinView):
    action = "test_messages"

    def get(self, request: HttpRequest) -> Answer:
        found = SandboxMessage.objects.filter(twin=self.twin).order_by("-id")
        to = checked(OutboxQuery, query_of(request))["to"]
        if to:
            found = found.filter(to=to)
        return Answer(200, {"messages": [presenters.outbox(each) for each in found[:MOST_MESSAGES]]})
