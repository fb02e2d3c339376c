"""Hand-written statements as PostgreSQL gets them: each is planned once, so that none names a column that is gone."""

import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from django.db import ProgrammingError, connection, transaction

from config.postgresql.exchange import numbered
from support.privacy import retention

ROOT = Path(__file__).resolve().parent.parent
BEGINS = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
FILES = [path for path in (*ROOT.glob("*/*sql.py"), *ROOT.glob("*/*/sql.py")) if not path.name.startswith("test_")]
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES)


def texts(name: str, found: object) -> Iterator[tuple[str, str]]:
    if isinstance(found, str):
        yield name, found
    elif isinstance(found, Mapping):
        for key, value in found.items():
            yield from texts(f"{name}[{key}]", value)


def statements() -> dict[str, str]:
    """Whole statements by name: constants of the modules `sql` and `..._sql`, and the batches of retention."""
    found = {f"retention.{rule.name}": rule.statement for rule in retention.RULES}
    for module in MODULES:
        for name, value in vars(importlib.import_module(module)).items():
            found |= {f"{module}.{key}": text for key, text in texts(name, value) if BEGINS.match(text)}
    return found


def planned(statement: str) -> list[str]:
    """The plan for any values, which needs none (EXPLAIN (GENERIC_PLAN) of PostgreSQL 16)."""
    text, _ = numbered(statement)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (GENERIC_PLAN) {text.decode()}")
        return [row[0] for row in cursor.fetchall()]


def test_every_app_with_statements_of_its_own_has_some():
    assert {name.partition(".")[0] for name in statements()} >= {each.partition(".")[0] for each in MODULES}


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(statements()))
def test_it_is_planned(name):
    assert planned(statements()[name])


@pytest.mark.django_db
def test_a_column_that_is_gone_is_noticed():
    with pytest.raises(ProgrammingError):
        planned("SELECT no_such_column FROM clients_partner WHERE id = %(id)s")
