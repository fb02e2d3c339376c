"""Examples of contract 1's document, compared whole (ids and times apart)."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from clients.models import AuthorizedClient
from conftest import NOW
from external_api.models import ApiRequest
from messaging.delivery import receipts
from messaging.models import Message
from tests.factories import MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
LIMA = ZoneInfo("America/Lima")

ALTA = {
    "solicitud": "alta",
    "usuario": "MAQ-001",
    "clientes": [
        {
            "nombre": "Juan Pérez",
            "tipo_documento": "DNI",
            "numero_documento": "12345678",
            "celular": "987654321",
            "codigo_externo": "CLI-001",
            "perfil": "VIP3",
            "correo": "juan.perez@dominio.com",
        },
        {
            "nombre": "",
            "tipo_documento": "CE",
            "numero_documento": "0123456780",
            "celular": "",
            "codigo_externo": "CLI-001",
            "perfil": "REGULAR7",
            "correo": "jose.lopez@dominio.com",
        },
    ],
}


def whole(answer, status):
    """The answer without its number and its time, which are checked here."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"id_solicitud", "resultados", "timestamp"}
    assert ApiRequest.objects.filter(pk=body["id_solicitud"], status=status).exists()
    assert STAMP.fullmatch(body["timestamp"])
    age = datetime.now(LIMA) - datetime.fromisoformat(body["timestamp"]).replace(tzinfo=LIMA)
    assert timedelta(0) <= age < timedelta(seconds=30)
    return body["resultados"]


def test_alta(desk):
    answer = desk.http.post(
        "/api/v1", ALTA, content_type="application/json", headers={"Authorization": f"Bearer {desk.token}"}
    )
    assert whole(answer, 207) == {
        "cuenta_exitos": 1,
        "cuenta_fallos": 1,
        "exitos": [{"correo": "juan.perez@dominio.com", "indice": 0}],
        "fallos": [{"errores": ["Numero de Documento Invalido."], "indice": 1}],
    }
    logged = ApiRequest.objects.latest("id")
    assert (logged.action, logged.user, logged.successes, logged.failures) == ("alta", "MAQ-001", 1, 1)


def test_baja(desk):
    answer = desk.send("baja", usuario="admin", clientes=[{"correo": "jose.lopez@dominio.com"}])
    assert whole(answer, 400) == {
        "cuenta_exitos": 0,
        "cuenta_fallos": 1,
        "exitos": [],
        "fallos": [{"errores": ["Correo no encontrado."], "indice": 0}],
    }
    desk.send("alta", clientes=ALTA["clientes"])
    answer = desk.send(
        "baja", usuario="admin", clientes=[{"correo": "Juan.Perez@Dominio.com"}, {"correo": "jose.lopez@dominio.com"}]
    )
    assert whole(answer, 207)["exitos"] == [{"correo": "juan.perez@dominio.com", "indice": 0}]


def test_a_wrong_token(desk):
    for answer in (desk.send("alta", token="TOKEN_EXTERNO"), desk.send(_body={"solicitud": "alta"})):
        assert whole(answer, 401) == {"error": "Token incorrecto."}
        assert answer["WWW-Authenticate"] == "Bearer"


def test_no_user(desk):
    assert whole(desk.send(_body={"token": desk.token, "solicitud": "alta"}), 400) == {"error": "Usuario requerido."}


def test_no_action(desk):
    for answer in (desk.send(_body={"token": desk.token, "usuario": "x"}), desk.send("alto")):
        assert whole(answer, 404) == {"error": "Solicitud incorrecta."}


def test_authorized_clients(desk):
    rows = [
        {
            "nombre": "Luis Caceres",
            "tipo_documento": "DNI",
            "numero_documento": "10025687",
            "codigo_externo": "MAQ-007",
            "perfil": "VIP9",
            "correo": "lucho@gmail.com",
        },
        {"codigo_externo": "MAQ-2137", "perfil": "REGULAR3", "correo": "juan@correo.com.pe"},
    ]
    made = desk.send("alta", clientes=rows).json()["id_solicitud"]
    AuthorizedClient.objects.filter(email="lucho@gmail.com").update(subscribed_at=NOW)
    AuthorizedClient.objects.update(created_at=NOW)
    body = desk.listing("clientes_autorizados", usuario="MAQ-003")
    assert STAMP.fullmatch(body.pop("timestamp"))
    assert body.pop("id_solicitud") > made
    assert body == {
        "resultados": {
            "cuenta": 2,
            "data": [
                {
                    "celular": "",
                    "codigo_cliente": "MAQ-007",
                    "correo": "lucho@gmail.com",
                    "id_solicitud": made,
                    "nombre": "Luis Caceres",
                    "numero_documento": "10025687",
                    "perfil": "VIP9",
                    "timestamp_creado": "2026-02-12 10:30:00.000000",
                    "tipo_documento": "DNI",
                    "suscrito": True,
                },
                {
                    "celular": "",
                    "codigo_cliente": "MAQ-2137",
                    "correo": "juan@correo.com.pe",
                    "id_solicitud": made,
                    "nombre": "",
                    "numero_documento": "",
                    "perfil": "REGULAR3",
                    "timestamp_creado": "2026-02-12 10:30:00.000000",
                    "tipo_documento": "",
                    "suscrito": False,
                },
            ],
        }
    }
    logged = ApiRequest.objects.latest("id")
    assert (logged.action, logged.status, logged.successes) == ("clientes_autorizados", 200, 2)


def sent(partner, to, at, state, subject, kind):
    return MessageFactory(
        handed_over=True,
        partner=partner,
        kind=kind,
        via="C",
        recipient=to,
        subject=subject,
        state=state,
        created_at=at,
        sent_at=None if state == "FAILED" else at,
    )


def test_messages_sent(desk, nopasanada, elsewhere):
    def lima(*parts):
        return datetime(*parts, tzinfo=LIMA)

    bulletin = "Tu Boletín de No Pasa Nada PE - Diciembre 2025"
    who = nopasanada.partner
    sent(who, "novite7175@kudimi.com", lima(2025, 12, 14, 21, 0, 4, 890544), "FAILED", bulletin, "boletin")
    sent(who, "juna66@kudimi.com", lima(2025, 12, 14, 19, 57, 41, 77390), "SENT", bulletin, "boletin")
    alert = "Tienes una Alerta de No Pasa Nada PE"
    sent(who, "pepe093@kudimi.com", lima(2025, 12, 14, 20, 57, 27, 320659), "DELIVERED", alert, "alerta")
    for state in ("QUEUED", "UNKNOWN", "EXPIRED", "CANCELLED"):
        sent(who, "no@kudimi.com", lima(2025, 12, 14, 21), state, "", "boletin")
    sent(who, "codigo@kudimi.com", lima(2025, 12, 14, 21), "SENT", "", "verificacion")
    sent(elsewhere.partner, "otro@kudimi.com", lima(2025, 12, 14, 21), "SENT", "", "boletin")
    expected = {
        "cuenta": 3,
        "data": [
            {
                "direccion_correo": "juna66@kudimi.com",
                "timestamp_envio": "2025-12-14 19:57:41.077390",
                "respuesta_mensaje": "ok",
                "asunto": "Tu Boletín de No Pasa Nada PE - Diciembre 2025",
                "tipo_mensaje": "boletin",
            },
            {
                "direccion_correo": "pepe093@kudimi.com",
                "timestamp_envio": "2025-12-14 20:57:27.320659",
                "respuesta_mensaje": "ok",
                "asunto": "Tienes una Alerta de No Pasa Nada PE",
                "tipo_mensaje": "alerta",
            },
            {
                "direccion_correo": "novite7175@kudimi.com",
                "timestamp_envio": "2025-12-14 21:00:04.890544",
                "respuesta_mensaje": "error",
                "asunto": "Tu Boletín de No Pasa Nada PE - Diciembre 2025",
                "tipo_mensaje": "boletin",
            },
        ],
    }
    assert desk.listing("mensajes_enviados", usuario="MAQ-003")["resultados"] == expected
    days = {"fecha_desde": "2025-12-14", "fecha_hasta": "2025-12-14"}
    assert desk.listing("mensajes_enviados", **days)["resultados"] == expected
    assert desk.listing("mensajes_enviados", fecha_desde="2025-12-15")["resultados"] == {"cuenta": 0, "data": []}
    assert desk.listing("mensajes_enviados", fecha_hasta="2025-12-13", fecha_desde="")["resultados"]["cuenta"] == 0
    one = desk.listing("mensajes_enviados", clientes=[{"correo": "PEPE093@kudimi.com"}, {"x": 1}])["resultados"]
    assert (one["cuenta"], one["data"][0]["direccion_correo"]) == (1, "pepe093@kudimi.com")


def test_a_bulletin_that_arrived_after_all_is_ok_at_the_time_it_was_sent(desk, nopasanada):
    at = datetime(2025, 12, 14, 19, tzinfo=LIMA)
    message = sent(nopasanada.partner, "ana@kudimi.com", at, "SENT", "Boletín", "boletin")
    Message.objects.filter(pk=message.pk).update(provider="brevo", provider_id="<b7bc@mail>")
    answers = []
    for state in ("UNDELIVERED", "DELIVERED"):
        receipts.receive(receipts.Report("brevo", "<b7bc@mail>", state), at=at + timedelta(hours=1))
        [row] = desk.listing("mensajes_enviados")["resultados"]["data"]
        answers.append((row["respuesta_mensaje"], row["timestamp_envio"]))
    assert answers == [("error", "2025-12-14 19:00:00.000000"), ("ok", "2025-12-14 19:00:00.000000")]
