"""Routes of the API for partners, with and without a trailing slash; all other paths below get its 404."""

from django.urls import re_path

from external_api.partners.views import EventsView, MessageView, MeView, NotFoundView, UsageView, VerificationView

urlpatterns = [
    re_path(r"^/me/?\Z", MeView.as_view(), name="partners-me"),
    re_path(r"^/usage/?\Z", UsageView.as_view(), name="partners-usage"),
    re_path(r"^/events/?\Z", EventsView.as_view(), name="partners-events"),
    re_path(r"^/messages/(?P<message>[^/]+)/?\Z", MessageView.as_view(), name="partners-message"),
    re_path(r"^/verifications/(?P<verification>[^/]+)/?\Z", VerificationView.as_view(), name="partners-verification"),
    re_path(r"^(?:/.*)?\Z", NotFoundView.as_view(), name="partners-nothing-here"),
]
