"""How the admin looks: django-unfold's settings, apart from the rest because nothing but the admin reads them."""

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Aval",
    "SITE_HEADER": "Aval",
    "SITE_SUBHEADER": "Administración",
    "SITE_URL": "/soporte/",
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "support.dashboard_view.add_to",
    "SHOW_VIEW_ON_SITE": False,
}
