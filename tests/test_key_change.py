"""SECRET_KEY changed under traffic, in the steps of docs/keys.md: no live code is refused, and nothing is cut off.

A whole Aval with two web servers, whose processes are restarted one by one.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from config.run.processes import wait_until
from config.variables import BASE_DIR
from external_api.openapi.registry import EXAMPLE
from staff.tests.authenticator import STEP
from staff.tests.authenticator import code as code_of
from testkit.processes import Program
from testkit.stack import Asked, Stack, free_port, running
from testkit.traffic import Traffic
from tests.partner_calls import Partner
from tests.secret_keys import NEW, OLD
from webhooks.tests.receiver import receiving

pytestmark = pytest.mark.timeout(600)

PASSWORD = "una-clave-larga-de-prueba"
ENROL = """
from django.contrib.auth.models import User
from django.utils import timezone
from staff import second_factor
from staff.tests.authenticator import code
user = User.objects.create_superuser("{name}", password="{password}")
key = second_factor.new_key()
second_factor.enrol(user, key, code(key, -1), at=timezone.now(), address=None)
print("key:", key)
"""


class Installation:
    """The stack with a second web server and the webhooks process."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.second_port = free_port()
        self._ports = itertools.cycle((stack.port, self.second_port))
        self.second_web = stack.program("web", "web2", PORT=str(self.second_port))
        self.webhooks = stack.program("webhooks")
        for program in (self.second_web, self.webhooks):
            program.start()
        assert wait_until(lambda: self.answers(self.second_port), 60)

    @property
    def programs(self) -> list[tuple[Program, int]]:
        """Each process, and the port of a web server."""
        stack = self.stack
        web = [(stack.web, stack.port), (self.second_web, self.second_port)]
        return [*web, *((each, 0) for each in (stack.worker, stack.periodic, stack.beat, self.webhooks))]

    def answers(self, port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v1/api/status", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def set_keys(self, *secrets: str) -> None:
        """Give the keys to every process, one after the other."""
        given = {"SECRET_KEY": secrets[0], "SECRET_KEY_FALLBACKS": ",".join(secrets[1:])}
        self.stack.environment.update(given)
        for program, port in self.programs:
            program.environment.update(given)
            program.restart()
            if port:
                assert wait_until(lambda port=port: self.answers(port), 60)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """As behind a balancer: by each web server in turn, so that a code is verified by another one than made it."""
        for _ in range(600):
            for port in (next(self._ports), next(self._ports)):
                try:
                    return httpx.request(method, f"http://127.0.0.1:{port}{path}", timeout=30, trust_env=False, **more)
                except httpx.TransportError:
                    continue
            time.sleep(0.1)
        raise AssertionError("no web server answers")

    def verify(self, asked: Asked) -> int:
        return self.request(
            "GET", f"/v1/api/client/{asked.client}/verify/{self.stack.code_soon(asked.phone)}"
        ).status_code

    def asked(self) -> Asked:
        made = self.request("POST", "/v1/api/client", json=self.stack.person())
        assert made.status_code == 201, made.text
        each = Asked(made.json()["data"]["id"], self.stack.phone())
        body = {"via": "S", "telefono": each.phone, "operador": "CLARO"}
        answer = self.request("POST", f"/v1/api/client/{each.client}/token", json=body)
        assert answer.status_code == 200, answer.text
        return each

    def reseal(self, since: datetime) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "manage", "reseal", f"--since={since.isoformat()}"],
            cwd=BASE_DIR,
            env=self.stack.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, done.stdout


class Agent:
    """A member of staff with an authenticator app, and another one who stays logged in."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        stack = installation.stack
        shown = stack.command("manage", "shell", "-c", ENROL.format(name="jefa", password=PASSWORD))
        self.key = re.search(r"key: (\w+)", shown)[1]  # type: ignore[index]  # then the test fails
        self.last_step = 0
        stack.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
        stack.command("manage", "createsuperuser", "--noinput", "--username", "eva", "--email", "eva@example.com")
        self.session = httpx.Client(base_url=stack.url, trust_env=False, timeout=30)
        self.session.get("/admin/login/")
        form = {"username": "eva", "password": PASSWORD, "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        assert self.session.post("/admin/login/", data=form).status_code == 302

    def logs_in(self) -> int:
        """By the staff API, with a code of the app."""
        assert wait_until(lambda: time.time() // STEP > self.last_step, STEP + 1), "no code is accepted twice"
        self.last_step = int(time.time() // STEP)
        typed = code_of(self.key)
        body = {"username": "jefa", "password": PASSWORD, "codigo": typed}
        return self.installation.request("POST", "/v1/api/auth/login", json=body).status_code

    def is_still_in(self) -> bool:
        return self.session.get("/admin/").status_code == 200


def registry_call(partner: Partner, installation: Installation) -> int:
    body = {**EXAMPLE, "client_id": f"CL{partner.stack.number()}"}
    headers = {"Authorization": f"Bearer {partner.jwt}"}
    return installation.request("POST", "/external/client/registry", json=body, headers=headers).status_code


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    with running(folder.with_name(folder.name + "-keys"), SECRET_KEY=OLD) as stack:
        made = Installation(stack)
        yield made
        for program in (made.second_web, made.webhooks):
            program.kill()


def test_the_key_is_changed_under_traffic_and_nothing_is_cut_off(installation: Installation) -> None:
    stack = installation.stack
    partner, agent = Partner(stack), Agent(installation)
    with receiving() as receiver, closing(agent.session):
        hook = installation.request(
            "POST",
            "/partners/v1/webhooks",
            json={"url": receiver.url},
            headers={"Authorization": f"Bearer {partner.token}"},
        ).json()

        def delivered() -> bool:
            """Whether an event that is written now arrives, signed with the endpoint's secret."""
            before = len(receiver.received)
            assert registry_call(partner, installation) == 200
            if not wait_until(lambda: len(receiver.received) > before, 40):
                return False
            Webhook(hook["secret"]).verify(receiver.received[-1].body, receiver.received[-1].headers)
            return True

        link = unsubscribe_link(partner)

        def all_is_well() -> None:
            assert delivered()
            assert agent.is_still_in()
            assert installation.request("GET", link).status_code == (200 if former_is_accepted else 404)

        former_is_accepted = True

        all_is_well()
        statuses: list[int] = []

        def one_client() -> None:
            """Ask for a code and type it in."""
            asked = installation.asked()
            assert wait_until(lambda: stack.code(asked.phone) is not None, 60)
            statuses.append(installation.verify(asked))

        with Traffic(one_client) as traffic:
            installation.set_keys(OLD, NEW)
            all_is_well()
            stack.worker.kill()
            queued = installation.asked()  # sealed with the former key, and opened by a worker with the new one first
            installation.set_keys(NEW, OLD)
            since = datetime.now(UTC)
            assert stack.code_soon(queued.phone, 60)
            assert installation.verify(queued) == 200
            all_is_well()
            assert agent.logs_in() == 200
        assert traffic.faults == []
        assert set(statuses) == {200}, "a live code was refused"
        assert len(statuses) >= 3

        status, text = installation.reseal(since)
        assert status == 1, "the partner's JWT is of the former key"
        for kind in ("authenticator apps", "webhook secrets", "codes in the queue"):
            assert re.search(rf"^{kind} +\d+ +0 +0$", text, re.MULTILINE), text
        assert registry_call(partner, installation) == 200
        renew_jwt(partner)
        expire_codes(stack, since)
        status, text = installation.reseal(since)
        assert status == 0, text

        installation.set_keys(NEW)
        former_is_accepted = False
        all_is_well()
        assert agent.logs_in() == 200
        after = installation.asked()
        assert installation.verify(after) == 200


def unsubscribe_link(partner: Partner) -> str:
    """Path of the link in a mail to a client of the partner."""
    stack = partner.stack
    client = {"codigo_externo": "C", "perfil": "V", "correo": f"u{stack.number()}@dominio.com"}
    body = {"token": partner.token, "usuario": "MAQ-001", "solicitud": "alta", "clientes": [client]}
    assert stack.http.post("/api/v1", json=body).status_code == 200
    ((number,),) = stack.sql("SELECT id FROM clients_authorizedclient WHERE email = %s", client["correo"])
    words = "from clients.email_subscriptions import unsubscribe_token as t; print('link:', t({}))"
    token = re.search(r"link: (\S+)", stack.command("manage", "shell", "-c", words.format(number)))
    assert token is not None
    return f"/suscripcion/baja/{token[1]}/"


def renew_jwt(partner: Partner) -> None:
    """A JWT of the new key; the former one ends."""
    stack = partner.stack
    ((number,),) = stack.sql(
        "SELECT credential.id FROM clients_credential AS credential"
        " JOIN clients_partner AS partner ON partner.id = partner_id WHERE kind = 'jwt' AND slug = %s",
        partner.slug,
    )
    made = stack.command("manage", "issue_credential", partner.slug, "--kind", "jwt", "--json")
    stack.command("manage", "revoke_credential", str(number))
    partner.jwt = json.loads(made)["secret"]


def expire_codes(stack: Stack, since: datetime) -> None:
    """Let the live codes expire that may be of the former key, as their 150 s would."""
    stack.sql(
        "UPDATE tokens_verificationtoken SET expires_at = now() WHERE outcome = 'PENDIENTE' AND created_at < %s"
        " RETURNING id",
        since,
    )
