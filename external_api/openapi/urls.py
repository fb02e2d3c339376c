"""Routes of the reference page, with and without a trailing slash, of the document, and of the guide below them."""

from django.urls import include, path

from external_api.openapi.views import openapi, reference

urlpatterns = [
    path("", reference),
    path("/", reference, name="reference"),
    path("/openapi.json", openapi, name="openapi"),
    path("/guia", include("external_api.guide.urls")),
]
