"""URLs below /soporte/."""

from django.urls import path

from support.cases import views
from support.message_log import views as log_views
from support.privacy import views as privacy_views

urlpatterns = [
    path("", views.find, name="support_find"),
    path("mensajes/", log_views.log, name="support_log"),
    path("mensajes.<slug:form>", log_views.export, name="support_export"),
    path("caso/<slug:kind>/<slug:key>/", views.case, name="support_case"),
    path("caso/<slug:kind>/<slug:key>/mostrar/", views.unmask, name="support_unmask"),
    path("caso/<slug:kind>/<slug:key>/datos/exportar/", privacy_views.export, name="support_export_person"),
    path("caso/<slug:kind>/<slug:key>/datos/borrar/", privacy_views.erase, name="support_erase_person"),
    path("borrado/<slug:key>/", privacy_views.erased, name="support_erased"),
    path("caso/<slug:kind>/<slug:key>/<slug:what>/", views.act, name="support_act"),
]
