"""Every path with and without a trailing slash; what is left below /v1/api is the envelope's 404."""

from django.urls import re_path

from external_api.informaperu.status import StatusView
from external_api.informaperu.views import (
    CancelView,
    ClientView,
    CooldownView,
    ExpireView,
    NothingHere,
    TokenView,
    VerifyView,
)

ONE = r"/client/(?P<client>[^/]+)"

urlpatterns = [
    re_path(r"^/client/?\Z", ClientView.as_view()),
    re_path(rf"^{ONE}/token/?\Z", TokenView.as_view()),
    re_path(rf"^{ONE}/verify/(?P<token>[^/]+)/?\Z", VerifyView.as_view()),
    re_path(rf"^{ONE}/cancel/?\Z", CancelView.as_view()),
    re_path(rf"^{ONE}/expire/?\Z", ExpireView.as_view()),
    re_path(rf"^{ONE}/cooldown/(?P<via>[^/]+)/?\Z", CooldownView.as_view()),
    re_path(r"^/status/?\Z", StatusView.as_view()),
    re_path(r"^(?:/.*)?\Z", NothingHere.as_view()),
]
