"""Text of a partner, a client or a provider is escaped on every page of the desk, of a person's data and of an account,
and is in no header of a download."""

import json
import re

import pytest

from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient, Partner
from messaging.models import Message
from support.tests.cast import HOSTILE, everything
from support.tests.url_map import FORM, body_of, routes
from tests.factories import ApiRequestFactory, StaffUserFactory, superuser_browser

pytestmark = pytest.mark.django_db

TURNED = "\u202egnp.exe\u200f"
LINES = "a\r\nSet-Cookie: x=1\r\n\r\n<b>"
LONG = "W" * 5_000
TEXTS = {"markup": HOSTILE, "direction marks": TURNED + HOSTILE, "lines": LINES + HOSTILE, "long": HOSTILE + LONG}


def boss(name="jefa"):
    return superuser_browser(name[:150], raise_request_exception=False)


@pytest.fixture(params=list(TEXTS))
def hostile(request, db):
    text = TEXTS[request.param]
    everything(text, [1])
    Message.objects.update(state="FAILED")
    for row in (Applicant.objects.get(), ExternalClient.objects.get()):
        ApiRequestFactory(
            contract="registry",
            subject=row.pk,
            user=text[:100],
            action=text[:60],
            code=text[:40],
            status=400,
            created_at=row.created_at,
        )
    return text


def cases():
    kinds = {"cliente": Applicant, "autorizado": AuthorizedClient, "externo": ExternalClient}
    return [f"/soporte/caso/{kind}/{model.objects.get().pk}/" for kind, model in kinds.items()]


def is_text(html, path):
    assert "<script>alert(" not in html, path
    assert "<b>" not in html, path
    assert not re.search(r"\}\}15554|15554\{|60481729", html), path  # no template worked it out


def test_every_page_of_the_desk_is_tried():
    """A new page of the desk must be added here."""
    ours = {each for each in routes() if each.startswith("/soporte/")}
    assert ours == {
        "/soporte/",
        "/soporte/mensajes/",
        "/soporte/mensajes.<slug:form>",
        "/soporte/borrado/<slug:key>/",
        *(
            f"/soporte/caso/<slug:kind>/<slug:key>/{what}"
            for what in ("", "mostrar/", "datos/exportar/", "datos/borrar/", "<slug:what>/")
        ),
    }


def test_the_desk_shows_hostile_text_as_text(hostile):
    http = boss(hostile.replace("\r\n", " ").replace("\x00", ""))
    pages = ["/soporte/", "/soporte/mensajes/", "/cuenta/", "/cuenta/segundo-factor/", *cases()]
    searches = [hostile[:200], "script", "12345678", "00000001", hostile[:200] + "1"]
    answers = [(path, http.get(path)) for path in pages]
    answers += [(f"?q={each[:20]}", http.get("/soporte/", {"q": each}, follow=True)) for each in searches]
    answers += [(path, http.get(f"{path}datos/borrar/")) for path in cases()]
    answers += [(path, http.post(f"{path}mostrar/", {"motivo": hostile[:500]}, follow=True)) for path in cases()]
    answers += [(path, http.post(f"{path}datos/borrar/", {"motivo": hostile[:500]})) for path in cases()]
    shown = 0
    for path, answer in answers:
        assert answer.status_code in (200, 400), (path, answer.status_code)
        html = answer.content.decode()
        is_text(html, path)
        shown += "&lt;script&gt;alert(" in html
    assert shown >= 12, "it is there, as text"


def test_the_filter_of_the_log_takes_any_text_in_its_url(hostile):
    http = boss()
    for name in ("grupo", "via", "tipo", "empresa", "desde", "hasta", "antes", "x", "desde_fila"):
        answer = http.get("/soporte/mensajes/", {name: hostile[:300]})
        assert answer.status_code == 200, name
        is_text(answer.content.decode(), name)


def test_a_message_after_an_action_is_text(hostile):
    http = boss()
    for path in cases():
        for what in ("perdonar", "desbloquear", "cancelar", "reenviar", "baja"):
            client = AuthorizedClient.objects.get().pk
            answer = http.post(f"{path}{what}/", {**FORM, "motivo": hostile[:500], "autorizado": client}, follow=True)
            assert answer.status_code in (200, 404), (path, what)
            is_text(answer.content.decode(), (path, what))


def no_header_has_it(answer):
    for name, value in answer.headers.items():
        assert not re.search(r"[\r\n\u202e\u200f<]|WWWW|x=1", value), (name, value)
    assert "Set-Cookie" not in answer.headers


def test_downloads_have_plain_names_and_whole_contents(hostile):
    http = boss()
    for path in cases():
        answer = http.post(f"{path}datos/exportar/", {"motivo": hostile[:500]})
        no_header_has_it(answer)
        assert re.fullmatch(r'attachment; filename="datos-personales-\d{8}-\d{4}\.json"', answer["Content-Disposition"])
        assert answer["Content-Type"] == "application/json; charset=utf-8"
        assert "<script>alert(" in json.dumps(json.loads(body_of(answer)), ensure_ascii=False).replace('\\"', '"')
    for path in ("/soporte/mensajes.csv", "/soporte/mensajes.xlsx", "/admin/clients/authorizedclient/exportar.csv"):
        answer = http.get(path, {"q": hostile[:50]})
        assert answer.status_code == 200, path
        no_header_has_it(answer)
        body_of(answer)


def test_the_result_of_an_erasure_is_text(hostile):
    http = boss()
    path = cases()[0]
    done = http.post(f"{path}datos/borrar/", {"motivo": hostile[:500], "confirmacion": "BORRAR"})
    entry = AuditEntry.objects.filter(action="person.erased").order_by("pk").first()
    assert done["Location"] == f"/soporte/borrado/{entry.pk}/"
    is_text(http.get(done["Location"]).content.decode(), path)


def test_an_account_with_such_a_name_is_reset_under_it(hostile):
    http = boss()
    Partner.objects.update(name=hostile[:90])
    other = StaffUserFactory(username=hostile[:120])
    path = f"/cuenta/segundo-factor/restablecer/{other.pk}/"
    for answer in (http.get(path), http.post(path, {"motivo": "perdió el celular"}, follow=True)):
        html = answer.content.decode()
        is_text(html, path)
        assert "&lt;script&gt;alert(" in html


NONSENSE = (
    {"via": "C"},
    {"partner__slug__regex": "("},
    {"created_at__gte": "ayer"},
    {"q": "\x00"},
    {"p": "x"},
    {"e": "1"},
    {"subscribed__exact": "\x00"},
    {"o": "9.9"},
    {"x\x00": "1"},
)


@pytest.mark.parametrize("asked", NONSENSE, ids=str)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_an_export_whose_address_makes_no_sense_is_refused_and_breaks_nothing(db, asked, form):
    everything("dato", [1])
    answer = boss().get(f"/admin/clients/authorizedclient/exportar.{form}", asked)
    assert answer.status_code in (200, 302, 400), answer.status_code
    body_of(answer)
