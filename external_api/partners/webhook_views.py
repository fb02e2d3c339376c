"""Views of webhooks in the API for partners. What belongs to another partner is not found."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from external_api.frontdoor.contract import Answer
from external_api.frontdoor.errors import InvalidFields
from external_api.frontdoor.fields import checked
from external_api.frontdoor.query import query_of
from external_api.partners import webhook_presenters as presenters
from external_api.partners.contract import NoSuchResource
from external_api.partners.serializers import NoFields, given
from external_api.partners.views import PartnersView, uuid_of
from external_api.partners.webhook_serializers import ChangedEndpoint, DeliveriesQuery, NewEndpoint, Replay
from webhooks import endpoints
from webhooks.endpoints import Actor
from webhooks.models import Delivery, Endpoint


class WebhooksBase(PartnersView):
    """Base of the views; `endpoint_of` finds the partner's own."""

    @property
    def actor(self) -> Actor:
        assert self.credential is not None, "as in `owner`"  # noqa: S101  narrows the type
        # Django's user names have no slash: no partner can pass for a staff member
        return Actor(f"{self.owner.slug}/{self.credential.prefix}", self.address)

    def endpoint_of(self, text: str) -> Endpoint:
        """Raises NoSuchResource."""
        found = Endpoint.objects.filter(pk=uuid_of(text), partner=self.owner).first()
        if found is None:
            raise NoSuchResource
        return found

    def shown(self, endpoint: Endpoint, **more: Any) -> dict[str, Any]:
        return {**presenters.endpoint(endpoint, at=self.at), **more}


class WebhooksView(WebhooksBase):
    """The endpoints of the partner: all of them, and a new one."""

    http_method_names = ["get", "head", "post"]
    action = "webhooks"
    answer_shows_secret = True

    def get(self, request: HttpRequest) -> Answer:
        rows = Endpoint.objects.filter(partner=self.owner).order_by("-id")
        return Answer(200, {"webhooks": [self.shown(each) for each in rows[: Endpoint.MOST]]})

    def post(self, request: HttpRequest) -> Answer:
        values = given(NewEndpoint, self.body)
        made, secret = endpoints.create(self.owner, **values, by=self.actor, at=self.at)
        return Answer(201, self.shown(made, secret=secret))


class WebhookView(WebhooksBase):
    """One endpoint."""

    http_method_names = ["get", "head", "patch", "delete"]
    action = "webhook"

    def get(self, request: HttpRequest, webhook: str) -> Answer:
        return Answer(200, self.shown(self.endpoint_of(webhook)))

    def patch(self, request: HttpRequest, webhook: str) -> Answer:
        endpoint = self.endpoint_of(webhook)
        values = given(ChangedEndpoint, self.body)
        status = values.pop("status", None)
        if status == "":
            raise InvalidFields({"status": ["Debe ser uno de: active, paused."]})
        who: dict[str, Any] = {"by": self.actor, "at": self.at}
        if values:
            endpoint = endpoints.change(endpoint.pk, values, **who)
        if status is not None:
            endpoint = (endpoints.wake if status == "active" else endpoints.pause)(endpoint.pk, **who)
        return Answer(200, self.shown(endpoint))

    def delete(self, request: HttpRequest, webhook: str) -> HttpResponse:
        endpoints.delete(self.endpoint_of(webhook).pk, by=self.actor, at=self.at)
        return HttpResponse(status=204)


class WebhookTestView(WebhooksBase):
    """A body to try the receiver with."""

    http_method_names = ["post"]
    action = "webhook.test"

    def post(self, request: HttpRequest, webhook: str) -> Answer:
        endpoint = self.endpoint_of(webhook)
        given(NoFields, self.body)
        delivery = endpoints.send_test(endpoint.pk, at=self.at)
        return Answer(202, presenters.delivery(delivery))


class WebhookRotateView(WebhooksBase):
    """A new secret."""

    http_method_names = ["post"]
    action = "webhook.rotate"
    answer_shows_secret = True

    def post(self, request: HttpRequest, webhook: str) -> Answer:
        endpoint = self.endpoint_of(webhook)
        given(NoFields, self.body)
        endpoint, secret = endpoints.rotate(endpoint.pk, by=self.actor, at=self.at)
        return Answer(200, self.shown(endpoint, secret=secret))


class WebhookReplayView(WebhooksBase):
    """Deliveries once more."""

    http_method_names = ["post"]
    action = "webhook.replay"

    def post(self, request: HttpRequest, webhook: str) -> Answer:
        endpoint = self.endpoint_of(webhook)
        sent = endpoints.send_again(endpoint.pk, **given(Replay, self.body), by=self.actor, at=self.at)
        return Answer(202, {"replayed": sent})


class DeliveriesView(WebhooksBase):
    """Deliveries of an endpoint, the newest first."""

    action = "webhook.deliveries"

    def get(self, request: HttpRequest, webhook: str) -> Answer:
        asked = checked(DeliveriesQuery, query_of(request))
        rows = Delivery.objects.filter(endpoint=self.endpoint_of(webhook)).order_by("-id")
        if asked["status"] is not None:
            rows = rows.filter(status=asked["status"])
        if asked["after"] is not None:
            rows = rows.filter(pk__lt=asked["after"])
        limit = asked["limit"]
        return Answer(200, presenters.deliveries(list(rows[: limit + 1]), limit))


class DeliveryView(WebhooksBase):
    """One delivery."""

    action = "webhook.delivery"

    def get(self, request: HttpRequest, webhook: str, delivery: str) -> Answer:
        found = Delivery.objects.filter(endpoint=self.endpoint_of(webhook), pk=uuid_of(delivery)).first()
        if found is None:
            raise NoSuchResource
        return Answer(200, presenters.delivery(found))
