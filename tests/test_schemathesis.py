"""OpenAPI document against the running installation: schemathesis sends valid and invalid requests, and every answer
must match the document's strict form. Limited in time, with a fixed seed."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from external_api.openapi.generator import strict_document
from testkit.stack import Stack

ROUNDS = (25, 60)
"""Seconds of each round: examples, boundary values, random requests and links of the document. The second round, with
another seed, runs if the first did not reach enough on a slow machine."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
MUST_REACH = {
    ("POST", "/api/v1", 200),
    ("POST", "/v1/api/client", 201),
    ("POST", "/external/client/registry", 200),
    ("GET", "/v1/api/admin/clients", 200),
    ("GET", "/v1/api/admin/messages", 200),
    ("GET", "/v1/api/status", 200),
}
"""Answers that must occur: with a wrong credential every answer would match the document."""
CLIENT_ENDPOINTS = {"token", "verify", "cancel", "expire", "cooldown"}
"""Endpoints of a client that must be called; whether the client exists depends on the time left."""


@pytest.mark.timeout(sum(ROUNDS) + 150)
def test_no_answer_differs_from_the_document(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(_credentials(stack))
    (tmp_path / "strict.json").write_text(json.dumps(strict_document()))
    answers: Counter[tuple[str, str, int]] = Counter()
    for number, seconds in enumerate(ROUNDS):
        answers += _round(stack, tmp_path, seconds=seconds, seed=20260212 + number)
        missing = MUST_REACH - set(answers), CLIENT_ENDPOINTS - {endpoint for _, endpoint, _ in answers}
        if not any(missing) and sum(answers.values()) > 300:
            break
    else:
        raise AssertionError(f"it came as far as {sum(answers.values())} answers, and not to {missing}")
    assert {status for _, _, status in answers if status >= 500} == set()
    assert "Traceback" not in stack.logs()["web.log"]


def _round(stack: Stack, folder: Path, *, seconds: int, seed: int) -> Counter[tuple[str, str, int]]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--no-color",
            "--config-file",
            "schemathesis.toml",
            "run",
            "strict.json",
            "--url",
            stack.url,
            "--checks",
            ",".join(CHECKS),
            "--seed",
            str(seed),
            "--max-time",
            str(seconds),
            "--max-examples",
            "25",
            "--report",
            "har",
            "--report-har-path",
            "calls.har",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return _answers(folder / "calls.har")


def _credentials(stack: Stack) -> str:
    """Credentials of each path in schemathesis's configuration."""
    partner = json.loads(stack.manage("create_partner", f"Esquema {stack.number()}", "--json"))
    staff = f"agente{stack.number()}"
    stack.environment["DJANGO_SUPERUSER_PASSWORD"] = "una-clave-larga-de-prueba"
    stack.manage("createsuperuser", "--noinput", "--username", staff, "--email", "agente@example.com")
    login = stack.http.post("/v1/api/auth/login", json={"username": staff, "password": "una-clave-larga-de-prueba"})
    credentials = (
        ("^/api/v1$|^/v1/api/client", partner["token"]),
        ("^/external/", partner["jwt"]),
        ("^/v1/api/admin/", login.json()["token"]),
    )
    return "\n".join(
        f'[[operations]]\ninclude-path-regex = "{paths}"\nheaders = {{ Authorization = "Bearer {key}" }}'
        for paths, key in credentials
    )


def _answers(har: Path) -> Counter[tuple[str, str, int]]:
    """Number of answers by method, path and status; of a client's paths only the last part."""
    counted: Counter[tuple[str, str, int]] = Counter()
    for entry in json.loads(har.read_text())["log"]["entries"]:
        path = urlsplit(entry["request"]["url"]).path.rstrip("/")
        parts = path.split("/")
        endpoint = parts[5] if path.startswith("/v1/api/client/") and len(parts) > 5 else path
        counted[entry["request"]["method"], endpoint, entry["response"]["status"]] += 1
    return counted
