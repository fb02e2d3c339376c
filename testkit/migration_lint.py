"""Linter of migrations: their SQL is read by squawk, which knows what PostgreSQL locks and rewrites.

    python -m testkit.migration_lint

Migrations up to `LINTED_AFTER` have been run by installations and stay as they are. A later one that must do what a
rule forbids says so in its class, with the reason:

    class Migration(migrations.Migration):
        lint_exceptions = {"ban-drop-column": "no version has read it"}
"""

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LINTED_AFTER = {
    "clients": "0018",
    "staff": "0001",
    "messaging": "0017",
    "tokens": "0012",
    "webhooks": "0001",
    "external_api": "0003",
    "subscription": "0005",
    "support": "0009",
}
"""The last migration of each app that is not linted. An app that is not here is linted from its first one."""

NOT_OUR_RULES = (
    "prefer-text-field",  # Django's CharField
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-robust-stmts",  # Django runs a migration once
    "require-statement-timeout",  # lifted for migrations (clients.apps)
    "require-lock-timeout",  # of the connection (config.settings)
)
OLDEST_POSTGRESQL = "15"


def sql_of_later_ones(connection: Any) -> Iterator[tuple[Any, str]]:
    """Each migration that is linted, with its SQL; between BEGIN and COMMIT where it is one transaction."""
    from django.apps import apps
    from django.db.migrations.loader import MigrationLoader

    from config.variables import BASE_DIR

    ours = {each.label for each in apps.get_app_configs() if Path(each.path).parent == BASE_DIR}
    loader = MigrationLoader(connection, replace_migrations=False)
    for app, name in sorted(loader.graph.nodes):
        if app not in ours or name[:4] <= LINTED_AFTER.get(app, ""):
            continue
        migration = loader.graph.nodes[app, name]
        statements = "\n".join(loader.collect_sql([(migration, False)]))
        yield migration, f"BEGIN;\n{statements}\nCOMMIT;\n" if migration.atomic else statements


def faults_in(name: str, sql: str, exceptions: Mapping[str, str]) -> list[str]:
    """What squawk says about a migration's SQL, a line each. Raises RuntimeError where squawk does not run."""
    squawk = shutil.which("squawk", path=sysconfig.get_path("scripts")) or "squawk"
    options = [word for rule in (*NOT_OUR_RULES, *exceptions) for word in ("--exclude", rule)]
    command = [squawk, "--reporter", "json", "--pg-version", OLDEST_POSTGRESQL, *options]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.sql"
        file.write_text(sql)
        done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"squawk ended with {done.returncode}: {done.stdout}{done.stderr}") from None
    return [
        f"{name}: line {each['line'] + 1}: {each['rule_name']}: {each['message']} {each['help'] or ''}".rstrip()
        for each in found
    ]


def main() -> int:
    """Exit code: 1 where a migration has a fault."""
    from django.db import connection

    faults: list[str] = []
    for migration, sql in sql_of_later_ones(connection):
        name = f"{migration.app_label}.{migration.name}"
        faults += faults_in(name, sql, getattr(migration, "lint_exceptions", {}))
    if faults:
        faults.append("aval: these lock or rewrite tables that are filled; docs/upgrade.md says what to do instead.")
    sys.stderr.writelines(f"{line}\n" for line in faults)
    return int(bool(faults))


if __name__ == "__main__":
    import os

    from config.embedded.attach import embedded_where_missing
    from config.variables import read_dotenv

    read_dotenv()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with embedded_where_missing():
        import django

        django.setup()
        sys.exit(main())
