"""Routes below /recibos/. The mail services' paths exist once ANYMAIL_WEBHOOK_SECRET is set; a service that signs its
reports has one where its key is set too."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from external_api.receipts import mail_views, views
from messaging.gateways import MAIL_SERVICES


def patterns() -> list[URLPattern | URLResolver]:
    found: list[URLPattern | URLResolver] = [
        path("twilio/<uuid:message_id>", views.twilio_status, name="receipt_twilio"),
        path("whatsapp", views.whatsapp_status, name="receipt_whatsapp"),
    ]
    if "WEBHOOK_SECRET" not in settings.ANYMAIL:
        return found
    services = [
        each for each in MAIL_SERVICES if settings.MAIL_WEBHOOK_KEYS.get(each, "WEBHOOK_SECRET") in settings.ANYMAIL
    ]
    found += [path(f"correo/{each}/tracking/", mail_views.view(each)) for each in services]
    if "mandrill" in services:  # the address that django-anymail documents
        found.append(path("correo/mandrill/", mail_views.view("mandrill")))
    return found


urlpatterns = patterns()
