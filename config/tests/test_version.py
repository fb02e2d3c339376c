"""One version, wherever somebody asks what runs."""

import logging
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config.variables import BASE_DIR
from config.version import VERSION


def test_the_newest_changes_are_this_version_s_and_each_version_has_a_date():
    headings = re.findall(r"^## (.+)$", (BASE_DIR / "CHANGELOG.md").read_text(), re.M)
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+) - (20\d\d-\d\d-\d\d)", each) for each in headings if each != "Unreleased"]
    assert all(dated), headings
    assert dated[0][1] == VERSION
    assert [each[2] for each in dated] == sorted((each[2] for each in dated), reverse=True)


@pytest.mark.django_db
def test_the_admin_and_the_reference_say_it(settings):
    settings.STAFF_TWO_FACTOR = "optional"
    http = Client()
    http.force_login(User.objects.create_superuser("jefa"))
    assert f"Aval {VERSION}" in http.get("/admin/").content.decode()
    assert http.get("/referencia/openapi.json").json()["info"]["version"] == VERSION


def test_a_server_and_a_worker_log_it_when_they_start(monkeypatch):
    from config import celery, wsgi
    from messaging.delivery import failover

    logged = []
    monkeypatch.setattr(failover, "register", lambda names: None)
    monkeypatch.setattr(logging.getLogger("aval.start"), "info", lambda text, extra: logged.append((text, extra)))
    wsgi._log_gateways()
    celery._log_gateways()
    assert [(text, extra["version"]) for text, extra in logged] == [("gateways", VERSION)] * 2
