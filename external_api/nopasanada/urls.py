"""Route of contract 1, with and without a trailing slash; all other paths below /api/v1 get the envelope's 404."""

from django.urls import re_path

from external_api.nopasanada.views import NotFoundView, RequestView

urlpatterns = [
    re_path(r"^/?\Z", RequestView.as_view(), name="nopasanada"),
    re_path(r"^/.*\Z", NotFoundView.as_view(), name="nopasanada-nothing-here"),
]
