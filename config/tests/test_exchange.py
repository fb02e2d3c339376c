"""Exchanges: several statements sent before the first answer is read, with the meaning that they have with a cursor."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from config.postgresql import exchange
from config.postgresql.base import DatabaseWrapper
from config.run.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

VALUES = {
    "text": "ñandú 100 %",
    "empty": "",
    "small": 1,
    "large": 2**40,
    "nothing": None,
    "moment": datetime(2026, 2, 12, 15, 30, 0, 123456, tzinfo=UTC),
    "span": timedelta(minutes=15),
    "key": UUID("0195f8a0-0000-7000-8000-000000000001"),
    "raw": b"\x00\xff",
    "several": ["a", "b"],
    "truth": True,
}
SELECT_VALUES = (
    "SELECT "
    + ", ".join(
        f"%({name})s::{kind}"
        for name, kind in {
            "text": "text",
            "empty": "text",
            "small": "int",
            "large": "bigint",
            "nothing": "text",
            "moment": "timestamptz",
            "span": "interval",
            "key": "uuid",
            "raw": "bytea",
            "several": "text[]",
            "truth": "boolean",
        }.items()
    )
    + ", '100 %%'"
)


@pytest.fixture
def wrapper() -> Iterator[DatabaseWrapper]:
    """A connection of our own with a table of its own, which the test may break."""
    copy: Any = connection.copy()
    with copy.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE thing (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, word text)")
    yield copy
    copy.close()


@pytest.fixture
def direct(wrapper: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> DatabaseWrapper:
    """As `wrapper`; an exchange through cursors fails the test."""
    monkeypatch.setattr(DatabaseWrapper, "_by_cursors", lambda *_: pytest.fail("by cursors"))
    return wrapper


ADD = "INSERT INTO thing VALUES (%(id)s, %(word)s)"
WORDS = "SELECT word FROM thing ORDER BY id"


def add(number: int, word: str = "x") -> tuple[str, dict[str, object]]:
    return ADD, {"id": number, "word": word}


def words(wrapper: DatabaseWrapper) -> list[str]:
    (rows,) = wrapper.exchange((WORDS, {}))
    return [row[0] for row in rows]


def in_a_transaction(wrapper: DatabaseWrapper, *statements: tuple[str, dict[str, object]]) -> None:
    """Each in an exchange of its own."""
    with _atomic(wrapper):
        for statement in statements:
            wrapper.exchange(statement)


def roll_back(wrapper: DatabaseWrapper, statement: tuple[str, dict[str, object]]) -> None:
    with suppress(RuntimeError), _atomic(wrapper):
        wrapper.exchange(statement)
        raise RuntimeError


def test_each_statement_has_its_rows_and_one_without_rows_has_none(direct: DatabaseWrapper) -> None:
    for _ in range(3):  # the first time they are prepared
        added, found = direct.exchange(
            add(1, "uno"), ("DELETE FROM thing WHERE id = %(id)s RETURNING id, word", {"id": 1, "unused": 2})
        )
        assert (added, found) == ([], [(1, "uno")])


def test_values_are_those_of_a_cursor(direct: DatabaseWrapper) -> None:
    with direct.cursor() as cursor:
        cursor.execute(SELECT_VALUES, VALUES)
        expected = cursor.fetchall()
    for _ in range(2):
        (found,) = direct.exchange((SELECT_VALUES, VALUES))
        assert found == expected
    assert found[0][:-1] == tuple(VALUES.values())


def test_what_watches_statements_sees_them(wrapper: DatabaseWrapper) -> None:
    with CaptureQueriesContext(wrapper) as watched:
        assert wrapper.exchange(add(1, "uno"), (WORDS, {})) == [[], [("uno",)]]
    assert len(watched) == 2


def test_a_pooler_gets_no_prepared_statement(wrapper: DatabaseWrapper) -> None:
    wrapper.connection.prepare_threshold = None
    assert wrapper.exchange(add(1, "uno"), (WORDS, {})) == [[], [("uno",)]]
    (found,) = wrapper.exchange(("SELECT count(*) FROM pg_prepared_statements", {}))
    assert found == [(0,)]


def test_the_first_error_is_raised_and_nothing_of_the_exchange_stays(direct: DatabaseWrapper) -> None:
    with pytest.raises(DataError, match="division by zero"):
        direct.exchange(add(1), ("SELECT 1 / %(zero)s::int", {"zero": 0}), ("SELECT nothing_of_the_kind", {}))
    assert words(direct) == []
    assert direct.exchange(add(1, "uno"), ("SELECT 6 / %(zero)s::int", {"zero": 3})) == [[], [(2,)]]
    assert words(direct) == ["uno"]


def test_a_syntax_error_leaves_the_connection_usable(direct: DatabaseWrapper) -> None:
    for _ in range(2):
        with pytest.raises(ProgrammingError):
            direct.exchange(("SELEC 1", {}), add(1))
    assert words(direct) == []


def test_it_begins_the_transaction_that_is_due(direct: DatabaseWrapper) -> None:
    in_a_transaction(direct, add(1, "uno"), add(2, "dos"))
    assert words(direct) == ["uno", "dos"]
    roll_back(direct, add(3))
    assert words(direct) == ["uno", "dos"]


def test_an_error_in_a_transaction_ends_it(direct: DatabaseWrapper) -> None:
    fault = ("SELECT 1 / %(zero)s::int", {"zero": 0})
    with pytest.raises(DataError):
        in_a_transaction(direct, add(1), fault)
    assert words(direct) == []


def test_a_commit_that_fails_is_an_error(direct: DatabaseWrapper) -> None:
    with pytest.raises(IntegrityError), _atomic(direct):
        direct.exchange(add(1), add(1))
    assert words(direct) == []


def test_prepared_statements_outlive_a_rollback_of_psycopg(direct: DatabaseWrapper) -> None:
    """psycopg deallocates all statements of a session after a rollback."""
    direct.exchange(add(1, "uno"), (WORDS, {}))
    with direct.cursor() as cursor:
        for _ in range(4):
            cursor.execute("SELECT %s::int", [1])  # prepared by psycopg
    roll_back(direct, add(2))
    (left,) = direct.exchange(("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '_pg3%%'", {}))
    assert left == [(0,)], "psycopg has not deallocated anything: the test tries nothing"
    with _atomic(direct):
        direct.exchange(add(2, "dos"))
        assert words(direct) == ["uno", "dos"]


def test_a_plan_that_became_invalid_is_made_anew(direct: DatabaseWrapper) -> None:
    """As after a migration that changes the type of a column."""
    statement = ("SELECT word FROM thing", {})
    direct.exchange(add(1, "1"), statement)
    with direct.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE thing ALTER word TYPE int USING word::int", prepare=False)
    with pytest.raises(Exception, match="cached plan"):
        direct.exchange(statement)
    assert direct.exchange(statement) == [[(1,)]]


def test_a_statement_is_prepared_once(direct: DatabaseWrapper) -> None:
    for number in range(5):
        direct.exchange(add(number))
    (count,) = direct.exchange(("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%%'", {}))
    assert count == [(1,)]


def test_a_server_that_ends_the_session_is_an_error_and_the_next_request_connects_anew(direct: DatabaseWrapper) -> None:
    ((pid,),) = direct.exchange(("SELECT pg_backend_pid()", {}))[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        gone = "SELECT FROM pg_stat_activity WHERE pid = %s"
        assert wait_until(lambda: cursor.execute(gone, [pid]) or not cursor.fetchone(), 10)
    with pytest.raises(OperationalError):
        direct.exchange(("SELECT 1", {}))
    direct.close_if_unusable_or_obsolete()
    direct.health_check_done = False
    assert direct.exchange(("SELECT 1", {})) == [[(1,)]]


def test_an_exchange_that_is_interrupted_closes_the_connection(
    direct: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next statement would read the answers of this one."""

    def interrupted(*_: object) -> None:
        raise TimeoutError

    direct.exchange(("SELECT 1", {}))
    with monkeypatch.context() as patched:
        patched.setattr(exchange.generators, "send", interrupted)
        with pytest.raises(TimeoutError):
            direct.exchange(("SELECT 2", {}))
    direct.close_if_unusable_or_obsolete()
    direct.health_check_done = False
    assert direct.exchange(("SELECT 3", {})) == [[(3,)]]


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("SELECT %(a)s, %(b)s, %(a)s", b"SELECT $1, $2, $1", ("a", "b")),
        ("SELECT 'x%%' || %(a)s::text", b"SELECT 'x%' || $1::text", ("a",)),
        ("SELECT 1", b"SELECT 1", ()),
    ],
)
def test_placeholders_are_numbered(sql: str, text: bytes, names: tuple[str, ...]) -> None:
    assert exchange.numbered(sql) == (text, names)


def with_commit(wrapper: DatabaseWrapper, *statements: tuple[str, dict[str, object]]) -> None:
    with _atomic(wrapper):
        wrapper.exchange(("SELECT 1", {}))
        wrapper.execute_with_commit(*statements)


def test_what_goes_with_the_commit_is_committed(direct: DatabaseWrapper) -> None:
    with_commit(direct, add(1, "uno"), add(2, "dos"))
    assert words(direct) == ["uno", "dos"]
    with_commit(direct, add(3, "tres"))
    assert words(direct) == ["uno", "dos", "tres"]


def test_what_goes_with_the_commit_is_sent_with_it(direct: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    exchanges = []
    pipeline = exchange._pipeline
    monkeypatch.setattr(exchange, "_pipeline", lambda *each: exchanges.append(len(each[1])) or pipeline(*each))
    with_commit(direct, add(1))
    with_commit(direct, add(2))
    assert exchanges[-2:] == [2, 2], "BEGIN and SELECT, then INSERT and COMMIT"


def test_a_fault_of_what_goes_with_the_commit_is_raised_and_nothing_is_committed(direct: DatabaseWrapper) -> None:
    with pytest.raises(DataError, match="division by zero"):
        with_commit(direct, add(1), ("SELECT 1 / %(zero)s::int", {"zero": 0}), add(2))
    assert words(direct) == []
    with_commit(direct, add(1, "uno"))
    assert words(direct) == ["uno"]


def test_a_constraint_that_is_checked_at_the_end_is_raised(direct: DatabaseWrapper) -> None:
    with pytest.raises(IntegrityError):
        with_commit(direct, add(1), add(1))
    assert words(direct) == []


def test_whatever_follows_in_the_transaction_comes_after_it(direct: DatabaseWrapper) -> None:
    with _atomic(direct):
        direct.execute_with_commit(add(1, "uno"))
        assert words(direct) == ["uno"], "by an exchange"
        direct.execute_with_commit(add(2, "dos"))
        with direct.cursor() as cursor:
            cursor.execute(WORDS)
            assert cursor.fetchall() == [("uno",), ("dos",)], "by a cursor"
        direct.execute_with_commit(add(3, "tres"))
    assert words(direct) == ["uno", "dos", "tres"]


def test_it_is_dropped_when_the_transaction_is_rolled_back(direct: DatabaseWrapper) -> None:
    with suppress(ZeroDivisionError), _atomic(direct):
        direct.execute_with_commit(add(1))
        raise ZeroDivisionError
    with _atomic(direct):
        direct.exchange(add(2, "dos"))
    assert words(direct) == ["dos"]


def test_it_is_executed_at_once_in_a_transaction_that_goes_on(direct: DatabaseWrapper) -> None:
    """A savepoint's `atomic` must raise what it raises, and may be rolled back alone."""
    with _atomic(direct):
        with pytest.raises(DataError), _atomic(direct):
            direct.execute_with_commit(("SELECT 1 / %(zero)s::int", {"zero": 0}))
        with _atomic(direct):
            direct.execute_with_commit(add(1, "uno"))
    assert words(direct) == ["uno"]


def test_outside_of_a_transaction_it_is_executed_at_once(direct: DatabaseWrapper) -> None:
    direct.execute_with_commit(add(1, "uno"))
    assert words(direct) == ["uno"]


def _atomic(wrapper: DatabaseWrapper) -> Any:
    """`transaction.atomic` over a connection that has no alias of its own."""

    class Atomic(transaction.Atomic):
        def __enter__(self) -> None:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(transaction, "get_connection", lambda _=None: wrapper)
                super().__enter__()

        def __exit__(self, *fault: Any) -> None:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(transaction, "get_connection", lambda _=None: wrapper)
                super().__exit__(*fault)

    return Atomic(None, savepoint=True, durable=False)


def test_a_change_of_autocommit_is_psycopgs_too(direct: DatabaseWrapper) -> None:
    """Its setter is passed by. A cursor must begin a transaction all the same, and an `atomic` must end one."""
    direct.set_autocommit(False)
    assert direct.connection.autocommit is False
    with direct.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert direct.connection.info.transaction_status.name == "INTRANS"
    with pytest.raises(ProgrammingError, match="can't change 'autocommit' now"):
        direct.set_autocommit(True)
    direct.rollback()
    direct.set_autocommit(True)
    assert direct.connection.autocommit is True
