"""Head of the document: title, introduction, the contracts' tags, the kinds of credentials."""

from typing import Any

from external_api.openapi import informaperu, nopasanada, partners, registry, staff, twins, webhooks

TITLE = "API de Aval"
DESCRIPTION = """\
Tres contratos, cada uno con su ruta, su credencial y su forma de responder:

- **NoPasaNadaPE**, `POST /api/v1`: token de empresa, en la cabecera o en el cuerpo.
- **InformaPerú**, `/v1/api/…`: sin credencial mientras la instalación esté abierta; si no, token o JWT de empresa.
- **Registro de clientes externos**, `POST /external/client/registry`: JWT de empresa.

Y una API propia para las mismas empresas, `/partners/v1`: qué puede hacer la empresa, qué pasó con sus mensajes y \
códigos, y un canal de eventos sin huecos. Sus errores son documentos de problema (RFC 9457).

Todo es JSON en UTF-8. Cada ruta funciona con barra final y sin ella. Toda respuesta debajo de `/api/v1`, `/v1/api`, \
`/external` y `/partners/v1` tiene la forma de su contrato, también la de una ruta que no existe (404).

Se rechaza el JSON con claves repetidas, `NaN`, `Infinity`, caracteres NUL, más de 16 niveles o números de más de 18 \
cifras. Los textos se guardan en NFC, sin espacios al borde ni dobles.

La [guía para empresas](/referencia/guia/) explica lo mismo paso a paso, con `curl`.
"""
TAGS: list[dict[str, Any]] = [
    {"name": nopasanada.TAG, "description": "Alta y baja de clientes autorizados; qué pasó con sus mensajes."},
    {
        "name": informaperu.TAG,
        "x-displayName": "InformaPerú",
        "description": "InformaPerú: registro de una persona y prueba de su celular o correo con un código.",
    },
    {"name": registry.TAG, "description": "Clientes de Guatemala, cada uno bajo el id de su empresa."},
    {"name": partners.TAG, "description": "Lo que pasó: eventos, mensajes y códigos de la propia empresa."},
    {"name": webhooks.TAG, "description": "Los mismos eventos, enviados a un servidor de la empresa."},
    {
        "name": twins.TAG,
        "description": "La empresa de prueba: sus credenciales, su reloj y su buzón. Con ella nada llega a un cliente.",
    },
    {
        "name": staff.TAG,
        "description": "Solo para el personal de quien opera esta instalación, no para empresas: su inicio de sesión y "
        "lo que puede consultar.",
    },
]


def security_schemes() -> dict[str, Any]:
    return {
        "tokenEmpresa": {
            "type": "http",
            "scheme": "bearer",
            "description": "El token opaco de la empresa. En NoPasaNadaPE también puede ir en el campo `token`.",
        },
        "jwtEmpresa": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "El JWT de la empresa, de larga duración.",
        },
        "jwtPersonal": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "El `token` de `POST /v1/api/auth/login`; dura una hora.",
        },
    }
