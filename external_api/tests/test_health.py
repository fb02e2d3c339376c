"""`/health/live` and `/health/ready`: for balancers and supervisors, which come by address and often."""

import logging

import pytest
from django.db import connection
from django.test import Client

from clients.probes import Probe
from external_api.health import probes
from external_api.health.middleware import STOPPING, Health
from external_api.probe_paths import LIVE, READY

pytestmark = pytest.mark.django_db


@pytest.fixture
def answering(monkeypatch):
    """Set what the two probes say, and count how often they are asked."""
    asked = []

    def set_to(database=True, schema=True):
        def question(name, answer):
            asked.append(name)
            return answer

        monkeypatch.setattr(probes, "database", Probe(lambda: question("database", database), "test"))
        monkeypatch.setattr(probes, "schema", Probe(lambda: question("schema", schema), "test"))
        return asked

    return set_to


@pytest.mark.parametrize("path", [LIVE, READY])
@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("host", ["10.1.2.3", "nobody.example:8000", "a b", ""])
def test_it_is_answered_for_any_host_and_left_out_of_the_log(answering, settings, caplog, path, method, host):
    answering()
    settings.SECURE_SSL_REDIRECT = True
    with caplog.at_level(logging.INFO):
        answer = getattr(Client(), method)(path, headers={"Host": host})
    assert answer.status_code == 200
    assert bool(answer.content) is (method == "get")
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "no-store")
    assert not answer.cookies
    assert not caplog.records


def test_live_asks_nobody(answering, django_assert_num_queries):
    asked = answering(database=False, schema=False)
    with django_assert_num_queries(0):
        assert Client().get(LIVE).json() == {"status": "ok"}
    assert not asked


def test_ready_says_which_part_fails(answering):
    answering()
    ready = {"process": "ok", "database": "ok", "schema": "ok"}
    assert Client().get(READY).json() == {"status": "ok", "parts": ready}
    answering(database=False)
    answer = Client().get(READY)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json() == {"status": "error", "parts": {"process": "ok", "database": "no answer"}}
    answering(schema=False)
    answer = Client().get(READY)
    assert (answer.status_code, answer.json()["parts"]["schema"]) == (503, "not migrated")


def test_a_server_that_stops_is_not_ready_and_still_lives(answering):
    asked = answering()
    answer = Client().get(READY, **{STOPPING: True})
    assert (answer.status_code, answer.json()) == (503, {"status": "error", "parts": {"process": "stopping"}})
    assert not asked
    assert Client().get(LIVE, **{STOPPING: True}).status_code == 200


def test_a_stranger_causes_one_question_a_second(answering):
    asked = answering(database=False)
    for _ in range(50):
        assert Client().get(READY).status_code == 503
    assert asked == ["database"]


def test_tables_that_were_found_once_are_not_looked_for_again(answering, rf):
    asked = answering()
    health = Health(lambda request: None)
    assert health(rf.get(READY)).status_code == 200
    answering(schema=False)
    assert health(rf.get(READY)).status_code == 200
    assert asked.count("schema") == 1


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_other_methods_are_refused(method):
    answer = getattr(Client(), method)(READY)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_a_path_below_is_none_of_them(settings):
    assert Client().get("/health").status_code == 404
    assert Client().get("/health/ready/x").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_real_probes_find_the_database_and_its_tables():
    assert probes.select_one()
    assert probes._is_migrated()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'support' RETURNING app, name, applied")
        rows = cursor.fetchall()
    try:
        assert not probes._is_migrated()
    finally:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", rows)
    assert probes._is_migrated()
