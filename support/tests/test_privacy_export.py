"""Export of a person: all that is stored of them, nothing of anybody else, no code and no names of staff."""

import json

import pytest

from clients.events.models import EventType
from clients.events.writing import write_event
from clients.models import AuditEntry
from conftest import NOW, make_applicant
from messaging.models import Message
from support.privacy import erasure, sections
from support.privacy import export as privacy_export
from support.privacy.erasure import dossier_of
from support.tests.privacy_cast import ANA, CODE, LUZ, everywhere
from tests.factories import AuthorizedClientFactory, MessageFactory, staff_browser
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def known_code(monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)


@pytest.fixture
def rows():
    everywhere(LUZ, slug="otro")
    return everywhere(ANA, slug="banco")


def staff(*codenames, role=None):
    return staff_browser(*codenames, roles=(role,) if role else (), name="marta")


def copy_of(row):
    return json.loads("".join(privacy_export.document(dossier_of(row), at=NOW)))


def test_an_export_has_all_rows_of_a_person_and_none_of_another(rows):
    file = copy_of(rows.applicant)
    text = json.dumps(file, ensure_ascii=False)
    for needle in ANA.needles[:-1]:
        assert needle in text
    for needle in LUZ.needles:
        assert needle not in text
    counts = {name: len(part) for name, part in file.items() if isinstance(part, list)}
    assert counts == {
        "registros": 1,
        "autorizaciones": 1,
        "registro_externo": 0,
        "historia_del_registro_externo": 0,
        "codigos": 2,
        "intentos": 1,
        "perdones_de_espera": 1,
        "mensajes": 4,
        "eventos_de_los_mensajes": 2,
        "acuses_de_los_proveedores": 1,
        "rebotes_quejas_y_bajas": 1,
        "buzones_sin_envio": 1,
        "pedidos_de_suscripcion": 2,
        "consentimientos": 1,
        "avisos_a_las_empresas": 3,
        "solicitudes": 1,
        "actuaciones_del_personal": 1,
    }
    assert set(file) == {"acerca_de", "que_es_cada_parte", *counts}
    assert set(file["que_es_cada_parte"]) == set(counts), "each part says what it is"


def test_an_export_of_an_external_client_has_its_history(rows):
    file = copy_of(rows.external)
    [row] = file["registro_externo"]
    assert (row["cui"], row["telefono"], row["empresa"]) == (ANA.cui, ANA.phone, "Banco banco")
    first, changed = file["historia_del_registro_externo"]
    assert (first["quien"], first["que"]) == ("Banco banco", "registró"), "a company by its name"
    assert changed["cambios"]["cambios"][0] == {"campo": "telefono", "antes": "555-0000", "despues": ANA.phone}
    assert len(file["solicitudes"]) == 1


def test_an_export_has_what_companies_were_told_and_nothing_of_another_with_the_same_number(rows):
    partner, number = rows.client.partner, str(rows.client.pk)
    write_event(partner.pk, EventType.AUTHORIZATION_SUBSCRIBED, number, {"via": "C", "to": "a•••@dominio.com"}, at=NOW)
    write_event(partner.pk, EventType.AUTHORIZATION_CREATED, number, {"clients": 7}, at=NOW)  # a request's number
    told = copy_of(rows.applicant)["avisos_a_las_empresas"]
    assert [each["que"] for each in told].count("Suscripción") == 1
    assert "Alta" not in [each["que"] for each in told]
    asked = next(each for each in told if each["sobre"] == str(rows.token.pk))
    assert (asked["empresa"], asked["que"]) == ("Banco banco", "Código pedido")
    assert asked["datos"]["destino"] == "9•• ••• 333"
    assert [each["que"] for each in copy_of(rows.external)["avisos_a_las_empresas"]] == [
        "Cliente registrado",
        "Cliente actualizado",
    ]


def test_an_export_has_labels_and_dates_of_lima(rows):
    file = copy_of(rows.applicant)
    assert file["registros"][0]["registrado_el"] == "12/02/2026 10:30:00"
    assert file["registros"][0]["estado"] == "Pendiente"
    assert file["registros"][0]["validado_el"] is None
    newest = file["codigos"][-1]
    assert (newest["via"], newest["destino"], newest["resultado"]) == ("SMS", ANA.phone, "Pendiente")
    assert "Las novedades del mes." in [each["texto"] for each in file["mensajes"]], "a campaign's words too"
    assert file["perdones_de_espera"][0]["quien"] == "personal"
    assert file["actuaciones_del_personal"][0]["quien"] == "personal"


def test_an_export_has_no_code_hash_or_name_of_staff(rows):
    text = json.dumps([copy_of(rows.applicant), copy_of(rows.external)], ensure_ascii=False)
    hashes = [bytes(token.code_hmac).hex() for token in VerificationToken.objects.all()]
    for secret in (CODE, "eva", *hashes):
        assert secret not in text


def test_an_export_has_all_rows_however_many(rows, monkeypatch):
    monkeypatch.setattr(sections, "IDS_PER_QUERY", 7)
    Message.objects.bulk_create(
        MessageFactory.build_batch(250, sent=True, kind="suscripcion", via="C", recipient=ANA.email, created_at=NOW)
    )
    assert len(copy_of(rows.applicant)["mensajes"]) == 254


# --- which rows are the person's ---


def test_rows_with_one_document_are_one_person_s(rows):
    second = make_applicant(ANA.document, email="segunda@dominio.com", partner=None)
    by_mail = AuthorizedClientFactory(partner=rows.client.partner, email="segunda@dominio.com")
    for start in (rows.applicant, second, by_mail, rows.client):
        found = dossier_of(start)
        assert {each.pk for each in found.applicants} == {rows.applicant.pk, second.pk}
        assert {each.pk for each in found.authorized} == {rows.client.pk, by_mail.pk}
        assert found.shared == frozenset()


def test_people_who_share_a_mailbox_stay_apart(rows):
    husband = make_applicant("70055555", email=ANA.email, names="Pedro")
    nobodys = AuthorizedClientFactory(email=ANA.email)
    found = dossier_of(rows.applicant)
    assert [each.pk for each in found.applicants] == [rows.applicant.pk]
    assert [each.pk for each in found.authorized] == [rows.client.pk], (
        "of two people with a mailbox, nobody knows whose"
    )
    assert found.shared == {ANA.email}
    assert [each.pk for each in dossier_of(husband).rows] == [husband.pk]
    assert [each.pk for each in dossier_of(nobodys).rows] == [nobodys.pk]
    file = copy_of(rows.applicant)
    assert "Pedro" not in json.dumps(file, ensure_ascii=False)
    assert len(file["mensajes"]) == 3, "their own codes and bulletins; a link to a shared mailbox is nobody's"
    assert file["pedidos_de_suscripcion"] == []
    assert ANA.email in dossier_of(rows.applicant).mailboxes
    assert ANA.email not in dossier_of(rows.applicant).values()


# --- at the desk ---


def export(http, applicant, reason="lo pidió por escrito"):
    return http.post(f"/soporte/caso/cliente/{applicant.pk}/datos/exportar/", {"motivo": reason})


def test_an_export_is_a_file_that_is_not_cached_and_is_audited(rows):
    answer = export(staff("use_desk", "export_person"), rows.applicant)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="datos-personales-')
    assert answer["Cache-Control"] == "no-store, private"
    file = json.loads(b"".join(answer.streaming_content).decode("utf-8"))
    assert file["registros"][0]["nombres"] == ANA.names
    [entry] = AuditEntry.objects.filter(action=erasure.EXPORTED)
    assert (entry.actor, entry.reason, entry.address, entry.object_id, entry.data) == (
        "marta",
        "lo pidió por escrito",
        "192.0.2.7",
        str(rows.applicant.pk),
        {},
    )
    assert [each["que"] for each in file["actuaciones_del_personal"]][-1] == "entregó una copia de sus datos"


def test_without_a_reason_there_is_no_export(rows):
    http = staff("use_desk", "export_person")
    assert (
        "Escriba un motivo."
        in http.post(
            f"/soporte/caso/cliente/{rows.applicant.pk}/datos/exportar/", {"motivo": " "}, follow=True
        ).content.decode()
    )
    assert not AuditEntry.objects.filter(action=erasure.EXPORTED).exists()


@pytest.mark.parametrize(
    ("role", "may"), [("Administradores", True), ("Operaciones", True), ("Soporte", False), ("Auditores", False)]
)
def test_only_roles_with_the_permission_export(rows, role, may):
    http = staff(role=role)
    case = http.get(f"/soporte/caso/cliente/{rows.applicant.pk}/").content.decode()
    assert ("Datos personales" in case) is may
    assert ("Descargar sus datos" in case) is may
    assert ("Borrar sus datos" in case) is may
    assert export(http, rows.applicant).status_code == (200 if may else 403)
    assert http.get(f"/soporte/caso/cliente/{rows.applicant.pk}/datos/borrar/").status_code == (200 if may else 403)


def test_exporting_and_erasing_have_a_permission_each(rows):
    http = staff("use_desk", "export_person")
    case = http.get(f"/soporte/caso/cliente/{rows.applicant.pk}/").content.decode()
    assert "Descargar sus datos" in case
    assert "Borrar sus datos" not in case
    assert http.get(f"/soporte/caso/cliente/{rows.applicant.pk}/datos/borrar/").status_code == 403
    assert http.get("/soporte/borrado/1/").status_code == 403
