"""URLs below /cuenta/: the second step of the login, and the account pages."""

from django.urls import path

from staff import account_views as pages
from staff import login_views as login

urlpatterns = [
    path("", pages.account, name="staff_account"),
    path("codigo/", login.code, name="staff_code"),
    path("codigo/respaldo/", login.code, {"backup": True}, name="staff_backup_code"),
    path("segundo-factor/", pages.enrol, name="staff_enrol"),
    path("segundo-factor/codigos/", pages.renew, name="staff_renew_codes"),
    path("segundo-factor/quitar/", pages.remove, name="staff_remove"),
    path("segundo-factor/restablecer/<int:pk>/", pages.reset, name="staff_reset"),
]
