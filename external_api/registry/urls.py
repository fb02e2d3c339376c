"""The endpoint with and without a trailing slash; what is left below /external is the envelope's 404."""

from django.urls import re_path

from external_api.registry.views import NothingHere, RegistryView

urlpatterns = [
    re_path(r"^/client/registry/?\Z", RegistryView.as_view(), name="registry"),
    re_path(r"^(?:/.*)?\Z", NothingHere.as_view(), name="registry-nothing-here"),
]
