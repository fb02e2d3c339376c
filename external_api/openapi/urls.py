"""Routes of the reference page, with and without a trailing slash, and of the document."""

from django.urls import path

from external_api.openapi.views import openapi, reference

urlpatterns = [
    path("", reference),
    path("/", reference, name="reference"),
    path("/openapi.json", openapi, name="openapi"),
]
