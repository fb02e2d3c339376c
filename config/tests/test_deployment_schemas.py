"""Dockerfile, compose.yaml and the manifests by the tools of their formats, without an engine or a cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.variables import BASE_DIR

PROGRAMS = Path(sys.executable).parent
MANIFESTS = sorted((BASE_DIR / "ops" / "kubernetes").rglob("*.yaml"))
BROKEN_MANIFEST = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: two}\n"
CHECKS = {
    "Dockerfile": ["hadolint"],
    "compose.yaml": ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"],
    "manifest.yaml": ["kubernetes-validate", "--strict"],
}
BROKEN = {
    "Dockerfile": "FROM debian\nRUN cd /tmp && sudo apt-get install x\n",
    "compose.yaml": "services: {web: {image: aval, restrat: always}}\n",
    "manifest.yaml": BROKEN_MANIFEST,
}


def check(name: str, *files: Path) -> subprocess.CompletedProcess[str]:
    program, *words = CHECKS[name]
    command = [str(PROGRAMS / program), *words, *map(str, files)]
    return subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("Dockerfile", [BASE_DIR / "Dockerfile"]),
        ("compose.yaml", [BASE_DIR / "compose.yaml"]),
        ("manifest.yaml", MANIFESTS),
    ],
    ids=["Dockerfile", "compose.yaml", "manifests"],
)
def test_the_tool_of_its_format_finds_nothing(name, files):
    done = check(name, *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", list(BROKEN))
def test_the_tool_finds_a_mistake(name, tmp_path):
    (tmp_path / name).write_text(BROKEN[name])
    assert check(name, tmp_path / name).returncode != 0
