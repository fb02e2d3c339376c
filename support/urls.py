"""Below /soporte/."""

from django.urls import path

from support import views

urlpatterns = [
    path("", views.find, name="support_find"),
    path("caso/<slug:kind>/<slug:key>/", views.case, name="support_case"),
    path("caso/<slug:kind>/<slug:key>/mostrar/", views.unmask, name="support_unmask"),
    path("caso/<slug:kind>/<slug:key>/<slug:what>/", views.act, name="support_act"),
]
