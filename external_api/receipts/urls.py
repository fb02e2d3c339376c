"""Below /recibos/. The mail services' paths are anymail's own; they exist once ANYMAIL_WEBHOOK_SECRET is set."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from external_api.receipts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("twilio/<uuid:message_id>", views.twilio_status, name="receipt_twilio"),
    path("whatsapp", views.whatsapp_status, name="receipt_whatsapp"),
]
if settings.ANYMAIL.get("WEBHOOK_SECRET"):
    urlpatterns.append(path("correo/", include("anymail.urls")))
