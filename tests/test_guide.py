"""Partners' guide: its shell blocks run as printed and give the printed answers, and no text, code or field of the
contracts is missing."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from clients.events.models import EventType
from clients.identity.documents import DOCUMENT_TYPES
from clients.identity.phones import OPERATORS
from config.variables import BASE_DIR
from external_api.frontdoor.fields import Text
from external_api.informaperu.contract import TABLE as INFORMAPERU
from external_api.nopasanada.contract import TABLE as NOPASANADA
from external_api.nopasanada.serializers import FAULTS
from external_api.openapi.generator import strict_document
from external_api.partners.contract import TABLE as PARTNERS
from external_api.registry.contract import TABLE as REGISTRY
from external_api.registry.serializers import _CUI_FAULTS, DataPoints
from external_api.tests.openapi_document import content_of
from messaging.reasons import Reason
from testkit.stack import Stack

GUIDE = BASE_DIR / "docs" / "guia"
CHAPTERS = sorted(GUIDE.glob("[0-9]-*.md"))
BLOCK = re.compile(r"^```bash\n(.*?)^```\n(.*?)^```json\n(.*?)^```", re.M | re.S)
STATUS = re.compile(r"`(\d{3})`")
OF_ONE_CALL = {
    *("id_solicitud", "timestamp", "timestamp_creado", "event_id", "uptime", "available_at", "token_id", "id"),
    *("next", "request_id", "secret", "created_at", "token", "jwt", "created"),
}
"""Fields whose values are of the call that was printed."""


class Printed(NamedTuple):
    """A block of commands with the status and body printed below it."""

    commands: str
    status: str
    body: str


def blocks(chapter: Path) -> list[Printed]:
    found = BLOCK.findall(chapter.read_text())
    return [Printed(commands, STATUS.findall(between)[0], body) for commands, between, body in found]


def without_call_values(value):
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in OF_ONE_CALL and item is not None else without_call_values(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_call_values(item) for item in value]
    return value


def comparable(text):
    body = without_call_values(json.loads(text))
    if "content" in body and "client_id" in body["content"]:
        body["content"]["client_id"] = "UUID"
    if body.get("code") == "ERR_COOLDOWN_ACTIVE":  # seconds go by
        assert 100 < body["data"].pop("remaining_seconds") <= 120
    return body


@pytest.fixture(scope="module")
def credentials(_running: Stack) -> dict[str, str]:
    """Test keys of a partner of its own: every example runs with them, but for the one that makes test keys."""
    made = json.loads(_running.manage("create_partner", f"Guia {_running.number()}", "--json"))
    asked = httpx.post(f"{_running.url}/partners/v1/test/keys", headers={"Authorization": f"Bearer {made['token']}"})
    test = asked.json()
    return {"URL": _running.url, "TOKEN": test["token"], "JWT": test["jwt"], "TOKEN_DE_PRODUCCION": made["token"]}


@pytest.mark.parametrize(
    "chapter", [each for each in CHAPTERS if "```bash" in each.read_text()], ids=lambda each: each.stem
)
def test_the_commands_of_a_chapter_work_as_printed(stack: Stack, credentials, chapter, tmp_path):
    """Run all blocks in one shell, as a reader would; curl writes the status to standard error."""
    (tmp_path / ".curlrc").write_text('write-out = "%{stderr}%{http_code}\\n"\n')
    printed = blocks(chapter)
    assert len(printed) == chapter.read_text().count("```bash"), "every block has its answer below it"
    script = "set -u\n" + "".join(
        f"{{\n{each.commands}}} > out-{number} 2> err-{number}\n" for number, each in enumerate(printed)
    )
    environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(tmp_path), "HOME": str(tmp_path), **credentials}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for number, each in enumerate(printed):
        output = (tmp_path / f"err-{number}").read_text().split()
        assert output[-1:] == [each.status], each.commands
        assert comparable((tmp_path / f"out-{number}").read_text()) == comparable(each.body), each.commands


def test_the_whole_ladder_takes_less_than_two_seconds(stack: Stack, credentials, tmp_path):
    """The example of the clock: six codes with their waits, eleven hours in all."""
    (ladder,) = [each for each in blocks(GUIDE / "8-pruebas.md") if "PT5H" in each.commands]
    script = "set -eu\n" + ladder.commands.replace("45678903", "45678904").replace("912345999", "912345998")
    began = time.monotonic()
    environment = {"PATH": os.environ["PATH"], **credentials}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    took = time.monotonic() - began
    assert json.loads(done.stdout) == json.loads(ladder.body)
    assert took < 2


def test_every_curl_of_a_contract_has_a_test_key():
    for chapter in CHAPTERS:
        for printed in blocks(chapter):
            for curl in re.split(r"(?=\bcurl )", printed.commands)[1:]:
                known = "$TOKEN" in curl or "$JWT" in curl or "/v1/api/status" in curl or "no-es-el-token" in curl
                assert known, (chapter.name, curl)


def chapter_of(contract: str) -> str:
    (path,) = GUIDE.glob(f"*-{contract}.md")
    return path.read_text()


def codes_in(text):
    """Texts between backticks in the first or second column of a table."""
    return set(re.findall(r"^\|(?:[^|]*\|)? `([^`]+)` \|", text, re.M))


def test_every_refusal_of_the_tables_is_in_its_chapter():
    one, two, three = map(chapter_of, ("nopasanadape", "informaperu", "registro"))
    assert {text for _, text in NOPASANADA.values()} - codes_in(one) == set()
    assert set(FAULTS) - codes_in(one) == set()
    assert {row.code for row in INFORMAPERU.values()} - codes_in(two) == set()
    assert {row.title for row in REGISTRY.values()} - codes_in(three) == set()
    own = chapter_of("eventos") + chapter_of("pruebas")
    assert {row.code for row in PARTNERS.values() if f"`{row.code}`" not in own} == set()


def test_every_status_is_in_its_chapter():
    chapters = {"/api/v1": "nopasanadape", "/v1/api": "informaperu", "/external": "registro"}
    chapters |= {"/partners/v1/test": "pruebas", "/partners/v1": "eventos"}
    for path, item in strict_document()["paths"].items():
        text = chapter_of(next(name for prefix, name in chapters.items() if path.startswith(prefix)))
        for operation in item.values():
            assert {status for status in operation["responses"] if status not in text} == set(), path


def test_the_statuses_it_gives_are_those_of_the_tables():
    rows = re.findall(r"^\| (\d{3}) \| `([^`]+)` \|", chapter_of("informaperu"), re.M)
    assert len(rows) > 15
    assert {(row.status, row.code) for row in INFORMAPERU.values()} >= {(int(s), code) for s, code in rows}
    rows = re.findall(r"^\| (\d{3}) \| `([^`]+)` \|", chapter_of("nopasanadape"), re.M)
    assert {(int(s), text) for s, text in rows} - {(422, "Idempotency-Key usada con otra solicitud.")} == set(
        NOPASANADA.values()
    )


def fields_of(schema):
    for kind in ("oneOf", "anyOf"):
        for each in schema.get(kind, []):
            yield from fields_of(each)
    yield from schema.get("properties", {})
    for each in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from fields_of(each)


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("/api/v1", "nopasanadape"),
        ("/v1/api", "informaperu"),
        ("/external", "registro"),
        ("/partners/v1", "eventos"),
        ("/partners/v1/test", "pruebas"),
    ],
)
def test_every_field_is_in_its_chapter(prefix, name):
    """Fields of the errors of the test routes are in the chapter of the API that they belong to."""
    more = {"pruebas": ["eventos"], "eventos": ["webhooks"]}.get(name, [])
    text = "".join(map(chapter_of, [name, *more]))
    for path, item in strict_document()["paths"].items():
        is_of_tests = path.startswith("/partners/v1/test")
        if not path.startswith(prefix) or "/admin/" in path or is_of_tests != (name == "pruebas"):
            continue
        for operation in item.values():
            contents = [
                *([operation["requestBody"]] if "requestBody" in operation else []),
                *(each for each in operation["responses"].values() if "content" in each),
            ]
            fields = {field for each in contents for field in fields_of(content_of(each)["schema"])}
            assert {field for field in fields if field not in text} == set(), path


def test_every_value_of_a_list_is_in_it():
    assert {each for each in OPERATORS if f"`{each}`" not in chapter_of("informaperu")} == set()
    for name in ("informaperu", "nopasanadape"):
        assert {each for each in DOCUMENT_TYPES if f"`{each}`" not in chapter_of(name)} == set()


def test_every_text_about_a_field_is_in_its_chapter():
    texts = {re.sub(r"\{\w+\}", "…", text) for text in Text.default_error_messages.values()}
    own = {*_CUI_FAULTS.values(), *DataPoints.default_error_messages.values()}
    assert {text for text in texts | own if f"`{text}`" not in chapter_of("registro")} == {"Debe ser uno de: …."}
    assert {text for text in texts if f"`{text.rstrip('.')}" not in chapter_of("informaperu")} == set()


def test_every_type_of_event_is_in_its_chapter():
    text = chapter_of("eventos")
    assert {each for each in EventType.values if f"`{each}` |" not in text and f"`{each}`," not in text} == set()


def test_every_reason_has_its_row_in_the_chapter():
    assert {each.value for each in Reason} <= codes_in(chapter_of("eventos"))


def test_its_chapters_find_each_other():
    for page in GUIDE.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
