"""Settings of django-unfold, the theme of the admin. Only the admin reads them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _page(title: str, icon: str, model: str) -> dict[str, Any]:
    """Sidebar entry for the list of a model, shown to users with the view permission."""
    label, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{label}_{name}_changelist"),
        "permission": _may(f"{label}.view_{name}"),
    }


def sandbox_mark(is_sandbox: bool, gateways: Mapping[str, Sequence[str]]) -> str:
    """Mark of a sandbox for every page of staff; empty in production. A via may be real while the others are not."""
    names = {"S": "SMS", "W": "WhatsApp", "I": "llamadas", "C": "correo"}
    real = [names[via] for via, urls in gateways.items() if any(not url.startswith("sandbox:") for url in urls)]
    if not is_sandbox:
        return ""
    return f"Pruebas: salen de verdad {', '.join(real)}" if real else "Pruebas: nada sale de verdad"


def environment(request: HttpRequest) -> list[str] | None:
    """Label at the head of the admin's pages."""
    return [settings.SANDBOX_MARK, "warning"] if settings.SANDBOX_MARK else None


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


SIDEBAR = [
    {
        "items": [
            {"title": "Tablero", "icon": "dashboard", "link": reverse_lazy("admin:index")},
            {
                "title": "Mesa de soporte",
                "icon": "support_agent",
                "link": "/soporte/",
                "permission": _may("support.use_desk"),
                "active": lambda request: False,
            },
        ]
    },
    _group(
        "Clientes",
        _page("Solicitantes", "how_to_reg", "clients.applicant"),
        _page("Códigos", "pin", "tokens.verificationtoken"),
        _page("Perdones de espera", "timer_off", "tokens.ladderforgiveness"),
        _page("Clientes autorizados", "group", "clients.authorizedclient"),
        _page("Clientes externos", "badge", "clients.externalclient"),
    ),
    _group(
        "Mensajes",
        _page("Mensajes", "sms", "messaging.message"),
        _page("Campañas", "campaign", "messaging.campaign"),
        _page("Pedidos de suscripción", "mark_email_unread", "subscription.subscriptionrequest"),
        _page("Consentimientos", "fact_check", "subscription.consentrecord"),
        _page("Buzones sin envío", "unsubscribe", "messaging.suppression"),
        _page("Proveedores", "cell_tower", "messaging.providerstate"),
    ),
    _group(
        "Empresas",
        _page("Empresas y credenciales", "domain", "clients.partner"),
        _page("Solicitudes de la API", "api", "external_api.apirequest"),
        _page("Webhooks", "webhook", "webhooks.endpoint"),
        _page("Entregas de webhooks", "outbox", "webhooks.delivery"),
    ),
    _group(
        "Control",
        _page("Auditoría", "history_edu", "clients.auditentry"),
        _page("Usuarios", "person", "auth.user"),
        _page("Roles", "shield_person", "auth.group"),
    ),
]
"""Ordered by the work of staff, not by app. Entries without permission are hidden."""

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Aval",
    "SITE_HEADER": "Aval",
    "SITE_SUBHEADER": "Administración",
    "SITE_SYMBOL": "verified_user",
    "SITE_URL": "/admin/",
    "ENVIRONMENT": environment,
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "support.dashboard.view.add_to",
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("aval/icon.svg")}],
    "STYLES": [lambda request: static("aval/admin.css")],
    "SIDEBAR": {"navigation": SIDEBAR},
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 237)",
            "100": "oklch(94% .03 237)",
            "200": "oklch(89% .055 237)",
            "300": "oklch(81% .095 237)",
            "400": "oklch(72% .13 240)",
            "500": "oklch(62% .14 245)",
            "600": "oklch(52% .13 248)",
            "700": "oklch(45% .115 250)",
            "800": "oklch(39% .095 250)",
            "900": "oklch(34% .075 250)",
            "950": "oklch(26% .055 250)",
        }
    },
}
