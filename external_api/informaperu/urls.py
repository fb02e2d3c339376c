"""Routes of contract 2, with and without a trailing slash; all other paths below /v1/api get the envelope's 404."""

from django.urls import re_path

from external_api.informaperu.staff import ClientDetailView, ClientsView, LoginView, MessagesView
from external_api.informaperu.status import StatusView
from external_api.informaperu.views import (
    CancelView,
    ClientView,
    CooldownView,
    ExpireView,
    NotFoundView,
    TokenView,
    VerifyView,
)

ONE = r"/client/(?P<client>[^/]+)"

urlpatterns = [
    re_path(r"^/client/?\Z", ClientView.as_view(), name="informaperu-client"),
    re_path(rf"^{ONE}/token/?\Z", TokenView.as_view(), name="informaperu-token"),
    re_path(rf"^{ONE}/verify/(?P<token>[^/]+)/?\Z", VerifyView.as_view(), name="informaperu-verify"),
    re_path(rf"^{ONE}/cancel/?\Z", CancelView.as_view(), name="informaperu-cancel"),
    re_path(rf"^{ONE}/expire/?\Z", ExpireView.as_view(), name="informaperu-expire"),
    re_path(rf"^{ONE}/cooldown/(?P<via>[^/]+)/?\Z", CooldownView.as_view(), name="informaperu-cooldown"),
    re_path(r"^/auth/login/?\Z", LoginView.as_view(), name="informaperu-login"),
    re_path(r"^/admin/clients/?\Z", ClientsView.as_view(), name="informaperu-admin-clients"),
    re_path(r"^/admin/clients/(?P<client>[^/]+)/?\Z", ClientDetailView.as_view(), name="informaperu-admin-client"),
    re_path(r"^/admin/messages/?\Z", MessagesView.as_view(), name="informaperu-admin-messages"),
    re_path(r"^/status/?\Z", StatusView.as_view(), name="informaperu-status"),
    re_path(r"^(?:/.*)?\Z", NotFoundView.as_view(), name="informaperu-nothing-here"),
]
