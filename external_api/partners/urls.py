"""Routes of the API for partners, with and without a trailing slash; all other paths below get its 404."""

from django.urls import re_path

from external_api.partners.twin_views import ClockView, OutboxView, ResetView, TestKeysView
from external_api.partners.views import EventsView, MessageView, MeView, NotFoundView, UsageView, VerificationView
from external_api.partners.webhook_views import (
    DeliveriesView,
    DeliveryView,
    WebhookReplayView,
    WebhookRotateView,
    WebhooksView,
    WebhookTestView,
    WebhookView,
)

_WEBHOOK = r"^/webhooks/(?P<webhook>[^/]+)"

urlpatterns = [
    re_path(r"^/me/?\Z", MeView.as_view(), name="partners-me"),
    re_path(r"^/usage/?\Z", UsageView.as_view(), name="partners-usage"),
    re_path(r"^/events/?\Z", EventsView.as_view(), name="partners-events"),
    re_path(r"^/messages/(?P<message>[^/]+)/?\Z", MessageView.as_view(), name="partners-message"),
    re_path(r"^/verifications/(?P<verification>[^/]+)/?\Z", VerificationView.as_view(), name="partners-verification"),
    re_path(r"^/webhooks/?\Z", WebhooksView.as_view(), name="partners-webhooks"),
    re_path(_WEBHOOK + r"/?\Z", WebhookView.as_view(), name="partners-webhook"),
    re_path(_WEBHOOK + r"/test/?\Z", WebhookTestView.as_view(), name="partners-webhook-test"),
    re_path(_WEBHOOK + r"/rotate/?\Z", WebhookRotateView.as_view(), name="partners-webhook-rotate"),
    re_path(_WEBHOOK + r"/replay/?\Z", WebhookReplayView.as_view(), name="partners-webhook-replay"),
    re_path(_WEBHOOK + r"/deliveries/?\Z", DeliveriesView.as_view(), name="partners-deliveries"),
    re_path(_WEBHOOK + r"/deliveries/(?P<delivery>[^/]+)/?\Z", DeliveryView.as_view(), name="partners-delivery"),
    re_path(r"^/test/keys/?\Z", TestKeysView.as_view(), name="partners-test-keys"),
    re_path(r"^/test/clock/?\Z", ClockView.as_view(), name="partners-test-clock"),
    re_path(r"^/test/reset/?\Z", ResetView.as_view(), name="partners-test-reset"),
    re_path(r"^/test/messages/?\Z", OutboxView.as_view(), name="partners-test-messages"),
    re_path(r"^(?:/.*)?\Z", NotFoundView.as_view(), name="partners-nothing-here"),
]
