"""Route of contract 3, with and without a trailing slash; all other paths below /external get the envelope's 404."""

from django.urls import re_path

from external_api.registry.views import NotFoundView, RegistryView

urlpatterns = [
    re_path(r"^/client/registry/?\Z", RegistryView.as_view(), name="registry"),
    re_path(r"^(?:/.*)?\Z", NotFoundView.as_view(), name="registry-nothing-here"),
]
