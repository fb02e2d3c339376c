"""TypeScript client: it compiles, calls a scripted server and a running installation, and another project can use it.

The tests of the calls are in `sdk/typescript/test/`, in its own language. They need Node.js and
`npm ci --prefix sdk/typescript --ignore-scripts`. Without them the tests are skipped with a message, unless
AVAL_TEST_EVERYTHING is set, as in .ci/run: there they fail.
"""

import json
import re
from pathlib import Path

import pytest

from testkit.api_document import ALWAYS_TYPED, SHAPES, event_data_keys, nullable_of, properties_of, uncalled, words_of
from testkit.skipping import skip_or_fail
from testkit.stack import Stack
from testkit.typescript_client import COMPILER, MISSING, PACKAGE, compile_all, is_installed, run

CONSUMER = """
import { Aval, ApiError, type Event, type NewClient, Rows } from "aval-client";
const aval = new Aval("http://127.0.0.1:1", { token: "t", retries: { attempts: 1 } });
const rows: NewClient[] = [{ codigo_externo: "C", perfil: "P", correo: "a@b.pe" }];
export async function main(): Promise<string[]> {
  const found: Event[] = [];
  for await (const event of aval.events({ follow: false })) found.push(event);
  const list: Rows<{ correo: string }> = await aval.nopasanada.clientesAutorizados("MAQ-001", { clientes: rows });
  return [...found.map((each) => each.id), ...(await list.all()).map((each) => each.correo)];
}
// @ts-expect-error a row needs its perfil
export const wrong: NewClient = { codigo_externo: "C", correo: "a@b.pe" };
console.log(ApiError.name);
"""


@pytest.fixture(scope="module")
def compiled() -> None:
    """The client and its tests, compiled."""
    if not is_installed():
        skip_or_fail(MISSING)
    compile_all()


def run_tests(name: str, **environment: str) -> None:
    """Run one file of tests; none may be skipped, and there must be some."""
    report = run("node", "--test", "--test-reporter=tap", f"build/{name}.test.js", **environment)
    counts = dict(line.removeprefix("# ").rsplit(" ", 1) for line in report.splitlines() if line.startswith("# "))
    assert int(counts["pass"]) == int(counts["tests"]) > 5, report


@pytest.mark.parametrize("name", ["calls", "feed"])
def test_calls_are_made_as_promised(compiled: None, name: str) -> None:
    run_tests(name)


def test_each_contract_works_from_one_end_to_the_other(
    compiled: None, stack: Stack, request: pytest.FixtureRequest
) -> None:
    keys = json.loads(stack.manage("create_partner", f"Empresa {stack.number()}", "--json"))
    name, password = f"eva{stack.number()}", f"una-clave-{stack.number()}"
    words = ("createsuperuser", "--noinput", f"--username={name}", "--email=eva@example.com")
    stack.manage(*words, DJANGO_SUPERUSER_PASSWORD=password)
    credentials = {"AVAL_TOKEN": keys["token"], "AVAL_JWT": keys["jwt"]}
    dispatcher = stack.program("webhooks")
    dispatcher.start()
    request.addfinalizer(dispatcher.kill)
    run_tests("installation", AVAL_URL=stack.url, AVAL_STAFF=name, AVAL_STAFF_PASSWORD=password, **credentials)


def test_there_is_a_call_for_each_operation_of_the_document(compiled: None) -> None:
    made = {tuple(line.split()) for line in run("node", "build/operations.js").splitlines()}
    assert uncalled(made) == set()


def test_the_types_have_the_keys_of_the_document(compiled: None, tmp_path: Path) -> None:
    lines = [f"Record<keyof ({shape}), true> = {true_of(properties_of(name))}" for name, (_, shape) in SHAPES.items()]
    named = "{ [Key in keyof EventData as string extends Key ? never : Key]: true }"
    compile_types(tmp_path, [*lines, f"Required<{named}> = {true_of(event_data_keys())}"])


def test_the_types_have_the_words_and_nulls_of_the_document(compiled: None, tmp_path: Path) -> None:
    lines = []
    for name, (_, shape) in SHAPES.items():
        nullable = nullable_of(name)
        for key in sorted(properties_of(name)):
            value = f'({shape})["{key}"]'
            lines.append(f"null extends {value} ? true : false = {json.dumps(key in nullable)}")
        for key, words in words_of(name).items():
            value = f'NonNullable<({shape})["{key}"]>'
            if all(isinstance(word, str) for word in words):
                lines.append(f"Record<{value}, true> = {true_of(words)}")
            if key in ALWAYS_TYPED:
                lines.append(f"string extends {value} ? true : false = false")
    compile_types(tmp_path, lines)


def true_of(keys: set[str]) -> str:
    """Object with these keys, as text."""
    return json.dumps(dict.fromkeys(sorted(keys), True))


def compile_types(folder: Path, lines: list[str]) -> None:
    """Compile constants, each given as its type and its value, over the types of the client."""
    shapes = {name for _, shape in SHAPES.values() for name in re.findall(r"[A-Z]\w+", shape)} - {"NonNullable"}
    constants = [f"export const is{number}: {line};" for number, line in enumerate(lines)]
    imported = ", ".join(sorted({*shapes, "EventData"}))
    text = "\n".join([f'import type {{ {imported} }} from "{PACKAGE}/dist/index.js";', *constants])
    (folder / "types.ts").write_text(text)
    run(COMPILER, "--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "types.ts", cwd=folder)


def test_another_project_uses_the_packed_client_and_its_types(compiled: None, tmp_path: Path) -> None:
    run("npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", tmp_path)
    (packed,) = tmp_path.glob("aval-client-*.tgz")
    installed = tmp_path / "node_modules"
    installed.mkdir()
    run("tar", "--extract", "--gzip", "--file", packed, "--directory", installed)
    (installed / "package").rename(installed / "aval-client")
    for name in ("standardwebhooks", "@stablelib", "fast-sha256", "@types", "undici-types"):
        (installed / name).symlink_to(PACKAGE / "node_modules" / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "main.ts").write_text(CONSUMER)
    run(COMPILER, "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "main.ts", cwd=tmp_path)
    assert run("node", "main.js", cwd=tmp_path) == "ApiError\n"
