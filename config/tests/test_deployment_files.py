"""Deployment files name every setting that the code reads, and no other."""

import re

import yaml

from config.mail_receipts import ANYMAIL_KEYS
from config.run.health import LIMITS
from config.run.programs import COMMANDS, MOST_CONNECTIONS
from config.variables import BASE_DIR

READ = re.compile(r'\b(?:boolean|number|choice|required|is_missing|env\.\w+|environ\.get)\(\s*"([A-Z][A-Z_]+)"')
OF_COMPOSE_ALONE = {"POSTGRES_PASSWORD", "POSTGRES_RUN_PASSWORD", "DOMAIN", "COMPOSE_SUBNET"}
NOT_FOR_OPERATORS = {"DJANGO_SETTINGS_MODULE", "PGAPPNAME", "WORKER_QUEUES"}


def settings_that_are_read() -> set[str]:
    names = {"SMS_URL", "WHATSAPP_URL", "IVR_URL", "EMAIL_URL", "SMS_FALLBACK", "WHATSAPP_FALLBACK"}
    names |= {f"ANYMAIL_{key}" for key in ANYMAIL_KEYS}
    for path in (BASE_DIR / "config").rglob("*.py"):
        if "tests" not in path.parts:
            names |= set(READ.findall(path.read_text()))
    return names - NOT_FOR_OPERATORS


def test_the_example_has_every_setting_with_its_meaning():
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    named = {match.group(1): number for number, line in enumerate(lines) if (match := re.match(r"#?([A-Z_]+)=", line))}
    assert set(named) == settings_that_are_read() | OF_COMPOSE_ALONE
    for name, number in named.items():
        above = lines[number - 1]
        assert above.startswith("# ") or re.match(r"#?[A-Z_]+=", above), f"{name} has no explanation"


def test_the_image_has_the_guide_that_it_serves():
    """In .dockerignore the last line that fits decides, and a line without a slash at its end takes a whole folder."""
    lines = (BASE_DIR / ".dockerignore").read_text().splitlines()
    fits = [line for line in lines if line.lstrip("!") in ("docs", "docs/guia")]
    assert fits == ["docs", "!docs/guia"]
    assert not [line for line in lines if "**" in line and line.endswith(".md")]


def test_compose_asks_for_secrets_and_holds_none():
    text = (BASE_DIR / "compose.yaml").read_text()
    for name in ("SECRET_KEY", "PUBLIC_URL", "POSTGRES_PASSWORD", "POSTGRES_RUN_PASSWORD"):
        assert f"${{{name}:?" in text
    assert text.count("noeviction") == 1
    assert not re.findall(r"(?i)(?:password|secret|token)\w*: (?!\$\{|'')\S+", text)


def test_composes_postgresql_takes_the_connections_of_two_fleets_at_once():
    """While an upgrade goes on there are old and new processes. docs/sizing.md counts them the same way."""
    command = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["services"]["postgres"]["command"]
    most = int(next(word for word in command if word.startswith("max_connections=")).partition("=")[2])
    each = {name: count() for name, count in MOST_CONNECTIONS.items()} | {"smpp": 1}
    fleet = sum(each.values()) + each["web"] + each["worker"]
    assert (fleet, 2 * fleet + 13 <= most) == (81, True), each
    page = (BASE_DIR / "docs" / "sizing.md").read_text()
    assert [name for name, count in each.items() if not re.search(rf"^\| {name} \|.*\| {count} \|", page, re.M)] == []


def test_every_service_is_started_again_when_it_ends():
    """A worker may end with its broker or its database; the next one takes over its messages."""
    services = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["services"]
    restarts = {name: service.get("restart") for name, service in services.items()}
    assert restarts.pop("migrate") == "on-failure"
    assert set(restarts.values()) == {"unless-stopped"}


def test_every_service_that_stays_has_a_health_check():
    services = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["services"]
    ends_by_itself = {"migrate"}
    checks = {name: service.get("healthcheck", {}).get("test") for name, service in services.items()}
    assert {name for name, check in checks.items() if not check} == ends_by_itself
    for name in COMMANDS:
        assert checks[name] == ["CMD", "python", "-m", "config.run", "health", name]
        assert services[name]["command"] == ["python", "-m", "config.run", name]
        often = services[name]["healthcheck"]
        looks = (often["retries"] + 1) * int(often["interval"].rstrip("s"))
        assert LIMITS.get(name, (0, 0))[0] + looks <= 60, "a frozen process is found within a minute"


def test_only_the_service_that_migrates_knows_the_owner_of_the_tables():
    services = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        if service.get("image", "").startswith("aval"):
            owner = service["environment"]["MIGRATE_DATABASE_URL"]
            assert bool(owner) is (name == "migrate"), name
            assert service["environment"]["POSTGRES_PASSWORD"] == ""
            assert "aval_run:" in service["environment"]["DATABASE_URL"]
