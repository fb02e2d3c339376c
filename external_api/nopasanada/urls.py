"""The endpoint with and without a trailing slash; what is left below /api/v1 is the envelope's 404."""

from django.urls import re_path

from external_api.nopasanada.views import NothingHere, RequestView

urlpatterns = [
    re_path(r"^/?\Z", RequestView.as_view(), name="nopasanada"),
    re_path(r"^/.*\Z", NothingHere.as_view(), name="nopasanada-nothing-here"),
]
