"""External registry: one row for each (partner, client_id), and an append-only history."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import AuditEntry, ExternalClient
from clients.search.external_clients import folded
from conftest import at_once
from tests.factories import ExternalClientFactory, PartnerFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
JUAN = Details("2380033370713", "Juan", "Pérez", "555-1234", "ABC123", "98765", "website", [{"key": "a", "value": 1}])


def key_of(slug):
    partner = PartnerFactory(name=slug)
    return issue(partner, "jwt", at=NOW, by="test")[0]


@pytest.fixture
def key(db):
    return key_of("financiera")


def put(key, details=JUAN, client_id="CL1", at=NOW, request_id=7):
    return register(key, client_id, details, request_id=request_id, address="192.0.2.7", at=at)


def history():
    return list(AuditEntry.objects.filter(object_type="clients.externalclient").order_by("id"))


def test_a_registration_is_audited(key):
    client = ExternalClient.objects.get(pk=put(key))
    assert (client.partner, client.client_id, client.created_at, client.updated_at) == (key.partner, "CL1", NOW, NOW)
    [entry] = history()
    assert (entry.action, entry.object_id, entry.at) == ("external_client.registered", str(client.pk), NOW)
    assert (entry.actor, entry.address) == (f"financiera/{key.prefix}", "192.0.2.7")
    assert entry.data == {"credential": key.pk, "request": 7}


def test_a_change_is_audited_with_before_and_after(key):
    first = put(key)
    later = NOW + timedelta(hours=1)
    points = [{"key": "b", "value": None}, {"key": "a", "value": True}]
    assert put(key, JUAN._replace(phone="555-9999", data_points=points), at=later, request_id=8) == first
    client = ExternalClient.objects.get()
    assert (client.phone, client.phone_digits, client.data_points) == ("555-9999", "5559999", points)
    assert (client.created_at, client.updated_at) == (NOW, later)
    entry = history()[1]
    assert (entry.action, entry.object_id, entry.at) == ("external_client.changed", str(first), later)
    assert entry.data == {
        "credential": key.pk,
        "request": 8,
        "changes": [
            {"field": "phone", "before": "555-1234", "after": "555-9999"},
            {"field": "data_points", "key": "a", "before": 1, "after": True},
            {"field": "data_points", "key": "b", "after": None},
        ],
    }


@pytest.mark.parametrize("field", [name for name in Details._fields if name != "data_points"])
def test_every_field_has_a_history(key, field):
    put(key)
    other = "2380033370514" if field == "cui" else "999-9999"
    put(key, JUAN._replace(**{field: other}))
    assert getattr(ExternalClient.objects.get(), field) == other
    assert history()[1].data["changes"] == [{"field": field, "before": getattr(JUAN, field), "after": other}]


def test_a_data_point_that_went_has_no_after(key):
    put(key)
    put(key, JUAN._replace(data_points=[]))
    assert history()[1].data["changes"] == [{"field": "data_points", "key": "a", "before": 1}]


def test_another_order_of_the_data_points_is_a_change(key):
    one, two = {"key": "a", "value": 1}, {"key": "b", "value": 2}
    put(key, JUAN._replace(data_points=[one, two]))
    put(key, JUAN._replace(data_points=[two, one]))
    assert ExternalClient.objects.get().data_points == [two, one]
    assert history()[1].data["changes"] == [{"field": "data_points", "before": ["a", "b"], "after": ["b", "a"]}]


@pytest.mark.parametrize("value", ["x", "", True, None, 5, 1.0, 0.1, 1e16, 1e23, 1.7e308, 5e-324, -0.0, 10**17])
def test_a_repetition_that_changes_nothing_writes_nothing(key, value):
    details = JUAN._replace(data_points=[{"key": "a", "value": value}])
    first = put(key, details)
    assert put(key, details, at=NOW + timedelta(hours=1)) == first
    assert ExternalClient.objects.get().updated_at == NOW
    assert len(history()) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (0, False), (1, "1"), (None, ""), (None, False), (123456789012345678, 123456789012345679)],
)
def test_a_value_of_another_type_is_another_value(key, before, after):
    put(key, JUAN._replace(data_points=[{"key": "a", "value": before}]))
    put(key, JUAN._replace(data_points=[{"key": "a", "value": after}]))
    [kept] = ExternalClient.objects.get().data_points
    assert (type(kept["value"]), kept["value"]) == (type(after), after)
    assert history()[1].data["changes"] == [{"field": "data_points", "key": "a", "before": before, "after": after}]


def test_the_same_client_id_is_another_client_with_each_partner(key):
    other = key_of("otra")
    assert put(key) != put(other)
    put(other, JUAN._replace(first_name="Ana"))
    assert ExternalClient.objects.get(partner=key.partner).first_name == "Juan"


def test_a_rotated_key_reaches_the_same_client_and_the_history_tells_them_apart(key):
    other = key_of("financiera")
    assert put(key) == put(other, JUAN._replace(origin="app"))
    assert [entry.actor for entry in history()] == [f"financiera/{key.prefix}", f"financiera/{other.prefix}"]


def test_a_client_id_is_case_sensitive(key):
    assert put(key, client_id="cl1") != put(key, client_id="CL1")


def test_the_history_is_append_only(key):
    put(key)
    for rewrite in (history()[0].delete, lambda: AuditEntry.objects.update(actor="nadie")):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rewrite()
    assert len(history()) == 1


def test_a_history_that_cannot_be_written_undoes_the_change(key, monkeypatch):
    put(key)

    def broken(*args, **more):
        raise DatabaseError("full")

    monkeypatch.setattr("clients.external_clients.audit", broken)
    with pytest.raises(DatabaseError):
        put(key, JUAN._replace(first_name="Ana"))
    with pytest.raises(DatabaseError):
        put(key, client_id="CL2")
    assert [client.first_name for client in ExternalClient.objects.all()] == ["Juan"]


@pytest.mark.parametrize("broken", [{"cui": "238003337071x"}, {"data_points": {"key": "a"}}])
def test_the_database_keeps_the_rules_too(key, broken):
    with pytest.raises(IntegrityError), transaction.atomic():
        put(key, JUAN._replace(**broken))


def test_a_registration_takes_few_statements_whatever_it_holds(key):
    def statements(points, client_id):
        details = JUAN._replace(data_points=[{"key": f"k{each}", "value": each} for each in range(points)])
        with CaptureQueriesContext(connection) as queries:
            put(key, details, client_id)
        return len(queries)

    assert statements(0, "CL1") == statements(200, "CL2") <= 6  # with the savepoint of a test
    assert statements(100, "CL1") == statements(1, "CL2") <= 7


# --- in parallel ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_20_equal_registrations_at_once_are_one_row_and_one_entry(key):
    ids = at_once([lambda: put(key)] * 20)
    assert len(set(ids)) == 1
    assert ExternalClient.objects.get().pk == ids[0]
    assert [entry.action for entry in history()] == ["external_client.registered"]


@pytest.mark.django_db(transaction=True)
def test_20_different_ones_at_once_are_one_row_and_a_history_without_a_gap(key):
    ids = at_once([lambda name=f"Juan{each}": put(key, JUAN._replace(first_name=name)) for each in range(20)])
    assert len(set(ids)) == 1
    first, *others = history()
    assert (first.action, len(others)) == ("external_client.registered", 19)
    steps = [entry.data["changes"] for entry in others]
    assert all(len(step) == 1 and step[0]["field"] == "first_name" for step in steps)
    names = [steps[0][0]["before"]] + [step[0]["after"] for step in steps]
    assert [step[0]["before"] for step in steps] == names[:-1], "each begins where the one before it ended"
    assert sorted(names) == sorted(f"Juan{each}" for each in range(20))
    assert ExternalClient.objects.get().first_name == names[-1]


# --- search ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Juan Pérez", "JUAN PEREZ"),
        ("Muñoz-Nájar", "MUNOZ NAJAR"),
        ("D'Angelo", "D ANGELO"),
        ("J. Ñahui", "J NAHUI"),
        ("Strauß", "STRAUSS"),
        ("a_b", "A B"),
        ("'; DROP", "DROP"),
        ("😀", ""),
        ("Иван", "ИВАН"),
        ("2do", "2DO"),
    ],
)
def test_names_are_compared_without_case_and_accents(text, words):
    assert folded(text) == words


@pytest.fixture
def three(key):
    put(key, JUAN, "CL1")
    put(key, JUAN._replace(cui="2380033370514", first_name="María del Carmen", last_name="Muñoz-Nájar"), "CL2")
    put(key_of("otra"), JUAN._replace(cui="2380033371333", phone="+502 5123-4567", last_name="Ixcot"), "CL3")
    return key


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("CL1", ["CL1"]),
        (" CL1 ", ["CL1"]),
        ("cl1", []),
        ("CL", []),
        ("2380033370713", ["CL1"]),
        ("238003337071", []),
        ("555-1234", ["CL1", "CL2"]),
        ("5551234", ["CL1", "CL2"]),
        ("(555) 1234", ["CL1", "CL2"]),
        ("555123", []),
        ("+50251234567", ["CL3"]),
        ("50251234567", ["CL3"]),
        ("51234567", []),
        ("juan", ["CL1", "CL3"]),
        ("JUAN PÉREZ", ["CL1"]),
        ("perez juan", ["CL1"]),
        ("per", ["CL1"]),
        ("erez", []),
        ("muñoz", ["CL2"]),
        ("munoz najar", ["CL2"]),
        ("Carmen", ["CL2"]),
        ("ixcot juan", ["CL3"]),
        ("juan carmen", []),
        ("ana", []),
        ("'", []),
        ("%", []),
        ("' | 'JUAN", ["CL1", "CL3"]),
        ("juan:*", ["CL1", "CL3"]),
        ("&!()", []),
        ("x" * 5000, []),
        ("٢٣٨٠٠٣٣٣٧٠٧١٣", []),
        ("", ["CL1", "CL2", "CL3"]),
        ("  ", ["CL1", "CL2", "CL3"]),
        ("00000000-0000-4000-8000-000000000000", []),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_client_is_found_by_each_of_its_values(three, term, found):
    assert sorted(client.client_id for client in ExternalClient.objects.found_by(term)) == found


def test_an_id_finds_a_client_as_ours_and_as_the_partner_s_own(three):
    client = ExternalClient.objects.get(client_id="CL1")
    assert ExternalClient.objects.found_by(str(client.pk)).get() == client
    put(three, JUAN, client_id=str(client.pk))
    assert ExternalClient.objects.found_by(str(client.pk)).count() == 2


def test_a_search_reads_no_whole_table(three):
    """Each part of the search uses its index, over enough rows for the planner to prefer one."""
    first = ExternalClient.objects.first()
    names = ("uno", "dos", "tres", "cuatro", "cinco")
    ExternalClient.objects.bulk_create(
        ExternalClientFactory.build(
            partner=first.partner,
            client_id=f"M{number}",
            cui=f"{number:013d}",
            first_name=f"N{number}",
            last_name=names[number % 5],
            phone=f"9{number:08d}",
        )
        for number in range(3000)
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE clients_externalclient")
        cursor.execute("SET LOCAL enable_seqscan = off")
        for term in ("555-1234", "juan per", str(ExternalClient.objects.first().pk)):
            plan = ExternalClient.objects.found_by(term).explain()
            assert "Seq Scan" not in plan, plan
            for index in ("by_client_id", "by_cui"):
                assert f"external_client_{index}" in plan
        assert "external_client_by_name" in ExternalClient.objects.found_by("juan").explain()
        assert "external_client_by_phone" in ExternalClient.objects.found_by("555-1234").explain()
