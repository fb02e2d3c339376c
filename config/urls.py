"""Root URLs: start page, contracts, API reference, receipts, subscription, support desk, accounts, admin, sandbox."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from staff import login_views as login
from staff import password_views as passwords
from support import front_page
from support.admin import service_levels_page, usage_page
from support.dashboard.view import board
from support.usage.views import usage_csv

urlpatterns = [
    path("v1/api", include("external_api.informaperu.urls")),  # first: it is asked most
    path("", front_page.start, name="start"),
    path("favicon.ico", front_page.favicon),
    path("robots.txt", front_page.robots),
    *(path(name, front_page.with_slash) for name in ("admin", "soporte", "cuenta")),
    path("api/v1", include("external_api.nopasanada.urls")),
    path("external", include("external_api.registry.urls")),
    path("partners/v1", include("external_api.partners.urls")),
    path("referencia", include("external_api.openapi.urls")),
    path("recibos/", include("external_api.receipts.urls")),
    path("suscripcion", include("subscription.urls")),
    path("soporte/", include("support.urls")),
    path("admin/login/", login.password, name="staff_login"),  # before the admin's own, which asks for no second factor
    path("cuenta/", include("staff.urls")),
    path("ingreso/olvido/", passwords.forgotten, name="staff_forgotten"),
    path("ingreso/clave/<str:key>/<str:token>/", passwords.new_password, name="staff_new_password"),
    path("admin/tablero/", admin.site.admin_view(board), name="dashboard_board"),
    path("admin/uso/", admin.site.admin_view(usage_page), name="usage"),
    path("admin/uso/csv/", admin.site.admin_view(usage_csv), name="usage_csv"),
    path("admin/servicio/", admin.site.admin_view(service_levels_page), name="service_levels"),
    path("admin/", admin.site.urls),
]
if settings.SANDBOX:
    urlpatterns.append(path("sandbox/", include("external_api.sandbox.urls")))
