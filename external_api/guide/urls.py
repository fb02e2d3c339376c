"""Routes of the guide, with and without a trailing slash."""

from django.urls import path

from external_api.guide.views import chapter, guide

urlpatterns = [
    path("", guide),
    path("/", guide, name="guide"),
    path("/<str:name>", chapter),
    path("/<str:name>/", chapter, name="guide_chapter"),
]
