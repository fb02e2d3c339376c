"""Calls of the API for partners over HTTP, for the tests of its parts."""

import json
from typing import Any

from config.run.processes import wait_until
from external_api.tests.openapi_document import conforming
from testkit.stack import Stack

ROOT = "/partners/v1"


class Partner:
    """A partner with both kinds of credentials, and a client of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        made = json.loads(stack.manage("create_partner", f"Empresa {stack.number()}", "--json"))
        self.slug, self.token, self.jwt = made["partner"], made["token"], made["jwt"]

    def get(self, path: str, *, token: str = "", **params: Any) -> Any:
        return self.stack.http.get(
            f"{ROOT}{path}", params=params, headers={"Authorization": f"Bearer {token or self.token}"}
        )

    def post(self, path: str, body: Any) -> Any:
        return self.stack.http.post(path, json=body, headers={"Authorization": f"Bearer {self.token}"})

    def register(self) -> str:
        person = self.stack.person()
        answer = self.post("/v1/api/client", person)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])

    def ask(self, client: str, phone: str) -> str:
        body = {"via": "S", "telefono": phone, "operador": "CLARO"}
        answer = self.post(f"/v1/api/client/{client}/token", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["token_id"])

    def events(self, **params: Any) -> Any:
        """A page of the feed, as documented."""
        return conforming(self.get("/events", **params), f"{ROOT}/events", "get")

    def events_until(self, kind: str) -> list[Any]:
        """All events once one of this type is among them."""
        assert wait_until(lambda: kind in {each["type"] for each in self.events(limit=1000)["events"]}, seconds=20)
        return list(self.events(limit=1000)["events"])
