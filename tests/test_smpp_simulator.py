"""Codes over SMPP, through our own process, with an SMSC that nobody here wrote: the server of npm's package `smpp`.

It needs Node.js and `npm ci --prefix tests/peers`. Where they are missing the tests are skipped and say so, unless
AVAL_TEST_EVERYTHING is set, as in .ci/run: there they fail.
"""

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from config.run.processes import wait_until
from config.run.programs import enabled_programs
from testkit.processes import Program
from testkit.simulator import MISSING, PASSWORD, SOON, Simulator, is_installed
from testkit.stack import Asked, Stack, code_in


class Line:
    """The stack with its SMS going by SMPP, and the other end."""

    def __init__(self, stack: Stack, simulator: Simulator) -> None:
        self.stack = stack
        self.smsc = simulator
        self.name = f"smpp:127.0.0.1:{simulator.port}"
        url = f"smpp://aval:{PASSWORD}@127.0.0.1:{simulator.port}/?sender=AVAL"
        self.worker = stack.program("worker", "smpp-worker", SMS_URL=url)
        self.gateway = stack.program("smpp", "smpp", SMS_URL=url)
        self.second = stack.program("smpp", "smpp-second", SMS_URL=url)

    def bound(self, program: Program) -> None:
        before = len(self.smsc.of("bound"))
        program.start()
        assert self.smsc.next("bound", before), f"no bind: see {program.log}"

    def state(self, asked: Asked) -> str:
        return self.stack.states([asked])[asked.phone]

    def becomes(self, state: str, asked: Sequence[Asked], seconds: float = SOON) -> None:
        states: set[str] = set()

        def there() -> bool:
            states.clear()
            states.update(self.stack.states(asked).values())
            return states == {state}

        assert wait_until(there, seconds), f"not {state} but {states}"

    def attempts(self, asked: Asked) -> int:
        ((attempts,),) = self.stack.sql("SELECT attempts FROM messaging_message WHERE recipient = %s", asked.phone)
        return int(attempts)

    def is_set_aside(self) -> bool:
        aside = "SELECT name FROM messaging_providerstate WHERE name = %s AND set_aside_at IS NOT NULL"
        return bool(self.stack.sql(aside, self.name))

    def lapse(self, asked: Sequence[Asked]) -> None:
        """The 30 seconds of a hand-over's lease, passed."""
        phones = [each.phone for each in asked]
        self.stack.sql("UPDATE messaging_message SET lease_until = now() WHERE recipient = ANY(%s)", phones)


@pytest.fixture(scope="module")
def _line(request: pytest.FixtureRequest) -> Iterator[Line]:
    if not is_installed():
        if os.environ.get("AVAL_TEST_EVERYTHING"):
            pytest.fail(MISSING)
        request.config.pluginmanager.getplugin("terminalreporter").write_line(f"\n{MISSING}", red=True)
        pytest.skip(MISSING)
    stack: Stack = request.getfixturevalue("_running")
    simulator = Simulator()
    line = Line(stack, simulator)
    programs = (line.worker, line.gateway, line.second)
    stack.worker.kill()
    try:
        line.worker.start()
        line.bound(line.gateway)
        yield line
    finally:
        for program in programs:
            program.thaw()
            program.kill()
        simulator.close()
        stack.heal()


@pytest.fixture
def line(_line: Line) -> Line:
    """Bound, and its SMSC well, whatever the test before did."""
    _line.smsc.answers("ok")
    assert _line.worker.is_running()
    assert _line.gateway.is_running()
    return _line


def test_a_code_is_submitted_verified_and_reported(line: Line) -> None:
    asked = line.stack.asked()
    line.becomes("SENT", [asked])
    [submit] = line.smsc.submits(asked)
    ((masked,),) = line.stack.sql("SELECT text FROM messaging_message WHERE recipient = %s", asked.phone)
    assert (submit["from"], submit["coding"], submit["receipt"]) == ("AVAL", 0, 1)
    left = datetime.fromisoformat(submit["validity"]) - datetime.now(UTC)
    assert 120 < left.total_seconds() <= 130, "what is left of 150 s, less the 20 it takes to read and type it"
    code = code_in(submit["text"], masked)
    assert submit["text"] == masked.replace("••••", code)
    assert line.stack.verify(asked.client, code).status_code == 200
    before = len(line.smsc.of("acknowledged"))
    line.smsc.do(
        "receipt", id=str(int(submit["id"], 16)), stat="DELIVRD", to=f"51{asked.phone}"
    )  # taken as hexadecimal
    line.becomes("DELIVERED", [asked])
    assert line.smsc.next("acknowledged", before)
    assert {each["status"] for each in line.smsc.of("acknowledged")} == {0}


def test_a_code_that_did_not_arrive_says_why(line: Line) -> None:
    asked = line.stack.asked()
    line.becomes("SENT", [asked])
    line.smsc.do("receipt", id=line.smsc.submits(asked)[0]["id"], stat="UNDELIV", to=f"51{asked.phone}")
    line.becomes("UNDELIVERED", [asked])
    said = "SELECT e.detail FROM messaging_messageevent e JOIN messaging_message m ON m.id = e.message_id"
    assert line.stack.sql(f"{said} WHERE m.recipient = %s AND e.state = 'UNDELIVERED'", asked.phone) == [
        ("el operador no pudo entregarlo",)
    ]


def test_better_news_wins(line: Line) -> None:
    asked = line.stack.asked()
    line.becomes("SENT", [asked])
    for stat, state in (("UNDELIVERABLE", "UNDELIVERED"), ("DELIVRD", "DELIVERED")):
        line.smsc.do("receipt", id=line.smsc.submits(asked)[0]["id"], stat=stat, to=f"51{asked.phone}")
        line.becomes(state, [asked])


def test_an_id_given_again_waits_for_its_own_receipt(line: Line) -> None:
    first = line.stack.asked()
    line.becomes("SENT", [first])
    name = line.smsc.submits(first)[0]["id"]
    line.smsc.do("receipt", id=name, stat="DELIVRD", to=f"51{first.phone}")
    line.becomes("DELIVERED", [first])
    line.smsc.do("reuse")
    second = line.stack.asked()
    line.becomes("SENT", [second])
    assert line.smsc.submits(second)[0]["id"] == name
    before = len(line.smsc.of("acknowledged"))
    line.smsc.do("receipt", id=name, stat="DELIVRD", to=f"51{first.phone}")
    assert line.smsc.next("acknowledged", before)
    assert line.state(second) == "SENT"
    line.smsc.do("receipt", id=name, stat="DELIVRD", to=f"51{second.phone}")
    line.becomes("DELIVERED", [second])


def test_a_receipt_that_comes_as_a_telephones_message_counts_for_its_own_number_only(line: Line) -> None:
    asked, other = line.stack.asked(), line.stack.asked()
    line.becomes("SENT", [asked, other])
    name = line.smsc.submits(asked)[0]["id"]
    text = f"id:{name} sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:DELIVRD err:000 text:-"
    before = len(line.smsc.of("acknowledged"))
    line.smsc.do("say", text=text, **{"from": f"51{other.phone}"})
    assert line.smsc.next("acknowledged", before)
    assert line.stack.states([asked, other]) == {asked.phone: "SENT", other.phone: "SENT"}
    line.smsc.do("say", text=text, **{"from": f"51{asked.phone}"})
    line.becomes("DELIVERED", [asked])


def test_throttling_costs_seconds_and_no_attempt(line: Line) -> None:
    line.smsc.answers("throttled", 1)
    asked = line.stack.asked()
    line.becomes("SENT", [asked])
    assert [each["answered"] for each in line.smsc.submits(asked)] == ["throttled", "ok"]
    assert line.attempts(asked) == 1
    assert not line.is_set_aside()


def test_a_cut_line_is_made_again_and_what_was_outstanding_is_not_sent_again(line: Line) -> None:
    line.smsc.answers("nothing")
    asked = line.stack.asked()
    assert wait_until(lambda: bool(line.smsc.submits(asked)), SOON)
    binds = len(line.smsc.of("bound"))
    line.smsc.answers("ok")
    line.smsc.do("disconnect")
    line.becomes("UNKNOWN", [asked])
    assert line.smsc.next("bound", binds)
    after = line.stack.asked()
    line.becomes("SENT", [after])
    assert (len(line.smsc.submits(asked)), len(line.smsc.submits(after))) == (1, 1)


def test_an_smsc_that_is_away_costs_no_code_and_its_provider_is_set_aside_meanwhile(line: Line) -> None:
    line.smsc.do("close")
    line.smsc.do("disconnect")
    assert wait_until(line.is_open, SOON)
    reason = line.stack.sql("SELECT reason FROM messaging_providerstate WHERE name = %s", line.name)
    assert reason == [("sin sesión SMPP: el servidor rechaza la conexión",)]
    asked = line.stack.many_asked(3)
    binds = len(line.smsc.of("bound"))
    line.smsc.do("listen")
    assert line.smsc.next("bound", binds)
    line.becomes("SENT", asked)
    assert [len(line.smsc.submits(each)) for each in asked] == [1, 1, 1]
    assert {line.attempts(each) for each in asked} == {1}
    assert wait_until(lambda: not line.is_set_aside(), SOON)


def test_two_processes_for_one_gateway_share_the_work(line: Line) -> None:
    line.bound(line.second)
    try:
        asked = line.stack.many_asked(20)
        line.becomes("SENT", asked)
    finally:
        line.second.kill()
    assert [len(line.smsc.submits(each)) for each in asked] == [1] * 20


def test_a_process_killed_anywhere_loses_none_and_repeats_none(line: Line) -> None:
    with ThreadPoolExecutor(1) as front:
        before = len(line.smsc.of("submitted"))
        asking = front.submit(line.stack.many_asked, 30)
        assert line.smsc.next("submitted", before + 3)
        line.gateway.kill()
        line.bound(line.gateway)
        asked = asking.result()
    assert wait_until(lambda: not _waiting(line, asked), SOON)
    line.lapse([each for each in asked if line.state(each) == "SENDING"])
    assert wait_until(lambda: set(line.stack.states(asked).values()) <= {"SENT", "UNKNOWN"}, SOON)
    sent = {each: len(line.smsc.submits(each)) for each in asked}
    assert max(sent.values()) == 1
    assert all(count == 1 for each, count in sent.items() if line.state(each) == "SENT")
    assert list(line.stack.states(asked).values()).count("UNKNOWN") <= 10, "a window at most"


def test_a_process_killed_with_submits_outstanding_leaves_them_unknown(line: Line) -> None:
    line.smsc.answers("nothing")
    asked = line.stack.many_asked(3)
    assert wait_until(lambda: all(line.smsc.submits(each) for each in asked), SOON)
    line.gateway.kill()
    line.smsc.answers("ok")
    line.bound(line.gateway)
    line.lapse(asked)
    line.becomes("UNKNOWN", asked)
    assert [len(line.smsc.submits(each)) for each in asked] == [1, 1, 1]


def test_a_process_that_slept_past_its_lease_sends_nothing_again_and_still_hears_the_answer(line: Line) -> None:
    line.smsc.answers("nothing")
    asked = line.stack.asked()
    assert wait_until(lambda: bool(line.smsc.submits(asked)), SOON)
    line.gateway.freeze()
    line.smsc.answers("ok")
    line.smsc.do("release")
    line.lapse([asked])
    line.becomes("UNKNOWN", [asked])
    waiting = line.stack.asked()
    line.gateway.thaw()
    line.becomes("SENT", [asked, waiting])
    assert [len(line.smsc.submits(each)) for each in (asked, waiting)] == [1, 1]


def test_it_needs_no_redis(line: Line) -> None:
    line.worker.kill()
    asked = line.stack.many_asked(3)
    with line.stack.redis.frozen():
        phones = [each.phone for each in asked]
        line.stack.sql("UPDATE messaging_message SET lane = %s WHERE recipient = ANY(%s)", line.name, phones)
        line.becomes("SENT", asked, 5)
    line.worker.start()


def test_it_goes_on_by_itself_after_the_database_was_away(line: Line) -> None:
    pid = line.gateway.pid
    with line.stack.postgres.down():
        time.sleep(0.5)
    assert wait_until(line.stack.is_up, SOON)
    asked = line.stack.asked()
    line.becomes("SENT", [asked])
    assert (line.gateway.pid, line.gateway.is_running()) == (pid, True)
    assert len(line.smsc.submits(asked)) == 1


def test_told_to_stop_it_unbinds_and_ends_well(line: Line) -> None:
    unbinds = len(line.smsc.of("unbound"))
    line.gateway.signal(signal.SIGTERM)
    assert line.gateway.process is not None
    assert line.gateway.process.wait(10) == 0
    assert line.smsc.next("unbound", unbinds)
    written = line.stack.logs()["smpp.log"].splitlines()
    said = [json.loads(each)["message"] for each in written]
    assert {"smpp bound", "no smpp session", "smpp gateway ended"} <= set(said)
    line.bound(line.gateway)


def test_its_log_holds_no_code_no_password_and_no_number(line: Line) -> None:
    written = line.stack.logs()["smpp.log"]
    rows = dict(line.stack.sql("SELECT recipient, text FROM messaging_message WHERE provider = %s", line.name))
    codes = [
        code_in(each["text"], rows[each["to"][2:]]) for each in line.smsc.of("submitted") if each["to"][2:] in rows
    ]
    assert len(codes) > 50
    words = set(re.findall(r"[A-Z0-9]{4}", re.sub(r"[0-9a-f-]{36}", "", written)))
    assert [code for code in codes if re.search(r"[G-Z]", code) and code in words] == []
    assert PASSWORD not in written
    assert not re.search(r"\b(?:51)?9[0-9]{8}\b", written)


def test_a_wrong_password_is_said_and_no_code_is_lost(line: Line) -> None:
    other = Simulator("another")
    wrong = line.stack.program(
        "smpp", "smpp-wrong", SMS_URL=f"smpp://aval:{PASSWORD}@127.0.0.1:{other.port}/?sender=AVAL"
    )
    wrong.start()
    try:
        aside = "SELECT reason FROM messaging_providerstate WHERE name = %s AND set_aside_at IS NOT NULL"
        name = f"smpp:127.0.0.1:{other.port}"
        assert wait_until(lambda: bool(line.stack.sql(aside, name)), SOON)
        assert line.stack.sql(aside, name) == [("sin sesión SMPP: clave rechazada (0x0000000E)",)]
    finally:
        wrong.kill()
        other.close()


def test_make_run_starts_it_where_there_is_an_smpp_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMS_URL", "sandbox://")
    assert "smpp" not in enabled_programs()
    monkeypatch.setenv("SMS_URL", "sandbox:// SMPP://aval:hunter2@smsc/?sender=AVAL")
    assert "smpp" in enabled_programs()
    assert "web" in enabled_programs()


def _waiting(line: Line, asked: Sequence[Asked]) -> bool:
    rows = line.stack.sql(
        "SELECT count(*) FROM messaging_message WHERE recipient = ANY(%s)"
        " AND (state = 'QUEUED' OR (state = 'SENDING' AND handed_over_at IS NULL))",
        [each.phone for each in asked],
    )
    return bool(rows[0][0])
