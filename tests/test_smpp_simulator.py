"""Codes over SMPP, through our gateway process, with a third-party SMSC: the server of npm's package `smpp`.

It needs Node.js and `npm ci --prefix tests/peers`. Without them the tests are skipped with a message, unless
AVAL_TEST_EVERYTHING is set, as in .ci/run: there they fail.
"""

import json
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
from testkit.skipping import skip_or_fail
from testkit.stack import Asked, Stack, code_in


class SmppSetup:
    """The stack with SMS by SMPP, and the SMSC."""

    def __init__(self, stack: Stack, simulator: Simulator) -> None:
        self.stack = stack
        self.smsc = simulator
        self.name = f"smpp:127.0.0.1:{simulator.port}"
        url = f"smpp://aval:{PASSWORD}@127.0.0.1:{simulator.port}/?sender=AVAL"
        self.worker = stack.program("worker", "smpp-worker", SMS_URL=url)
        self.gateway = stack.program("smpp", "smpp", SMS_URL=url)
        self.second = stack.program("smpp", "smpp-second", SMS_URL=url)

    def start_and_bind(self, program: Program) -> None:
        before = len(self.smsc.of("bound"))
        program.start()
        assert self.smsc.next("bound", before), f"no bind: see {program.log}"

    def state(self, asked: Asked) -> str:
        return self.stack.states([asked])[asked.phone]

    def wait_for_state(self, state: str, asked: Sequence[Asked], seconds: float = SOON) -> None:
        states: set[str] = set()

        def there() -> bool:
            states.clear()
            states.update(self.stack.states(asked).values())
            return states == {state}

        assert wait_until(there, seconds), f"not {state} but {states}"

    def attempts(self, asked: Asked) -> int:
        ((attempts,),) = self.stack.sql("SELECT attempts FROM messaging_message WHERE recipient = %s", asked.phone)
        return int(attempts)

    def is_open(self) -> bool:
        open_breaker = "SELECT name FROM messaging_providerstate WHERE name = %s AND set_aside_at IS NOT NULL"
        return bool(self.stack.sql(open_breaker, self.name))

    def lapse(self, asked: Sequence[Asked]) -> None:
        """End the leases of hand-overs."""
        phones = [each.phone for each in asked]
        self.stack.sql("UPDATE messaging_message SET lease_until = now() WHERE recipient = ANY(%s)", phones)


@pytest.fixture(scope="module")
def _smpp(request: pytest.FixtureRequest) -> Iterator[SmppSetup]:
    if not is_installed():
        request.config.pluginmanager.getplugin("terminalreporter").write_line(f"\n{MISSING}", red=True)
        skip_or_fail(MISSING)
    stack: Stack = request.getfixturevalue("_running")
    simulator = Simulator()
    smpp = SmppSetup(stack, simulator)
    programs = (smpp.worker, smpp.gateway, smpp.second)
    stack.worker.kill()
    try:
        smpp.worker.start()
        smpp.start_and_bind(smpp.gateway)
        yield smpp
    finally:
        for program in programs:
            program.thaw()
            program.kill()
        simulator.close()
        stack.heal()


@pytest.fixture
def smpp(_smpp: SmppSetup) -> SmppSetup:
    """Bound, with an SMSC that accepts everything."""
    _smpp.smsc.answers("ok")
    assert _smpp.worker.is_running()
    assert _smpp.gateway.is_running()
    return _smpp


def test_a_code_is_submitted_verified_and_reported(smpp: SmppSetup) -> None:
    asked = smpp.stack.asked()
    smpp.wait_for_state("SENT", [asked])
    [submit] = smpp.smsc.submits(asked)
    ((masked,),) = smpp.stack.sql("SELECT text FROM messaging_message WHERE recipient = %s", asked.phone)
    assert (submit["from"], submit["coding"], submit["receipt"]) == ("AVAL", 0, 1)
    left = datetime.fromisoformat(submit["validity"]) - datetime.now(UTC)
    assert 120 < left.total_seconds() <= 130, "what is left of 150 s, less the 20 it takes to read and type it"
    code = code_in(submit["text"], masked)
    assert submit["text"] == masked.replace("••••", code)
    assert smpp.stack.verify(asked.client, code).status_code == 200
    before = len(smpp.smsc.of("acknowledged"))
    smpp.smsc.do(
        "receipt", id=str(int(submit["id"], 16)), stat="DELIVRD", to=f"51{asked.phone}"
    )  # taken as hexadecimal
    smpp.wait_for_state("DELIVERED", [asked])
    assert smpp.smsc.next("acknowledged", before)
    assert {each["status"] for each in smpp.smsc.of("acknowledged")} == {0}


def test_a_code_that_did_not_arrive_says_why(smpp: SmppSetup) -> None:
    asked = smpp.stack.asked()
    smpp.wait_for_state("SENT", [asked])
    smpp.smsc.do("receipt", id=smpp.smsc.submits(asked)[0]["id"], stat="UNDELIV", to=f"51{asked.phone}")
    smpp.wait_for_state("UNDELIVERED", [asked])
    messages = "SELECT e.detail FROM messaging_messageevent e JOIN messaging_message m ON m.id = e.message_id"
    assert smpp.stack.sql(f"{messages} WHERE m.recipient = %s AND e.state = 'UNDELIVERED'", asked.phone) == [
        ("el operador no pudo entregarlo",)
    ]


def test_a_later_delivery_overrides_a_failure(smpp: SmppSetup) -> None:
    asked = smpp.stack.asked()
    smpp.wait_for_state("SENT", [asked])
    for stat, state in (("UNDELIVERABLE", "UNDELIVERED"), ("DELIVRD", "DELIVERED")):
        smpp.smsc.do("receipt", id=smpp.smsc.submits(asked)[0]["id"], stat=stat, to=f"51{asked.phone}")
        smpp.wait_for_state(state, [asked])


def test_an_id_given_again_waits_for_its_own_receipt(smpp: SmppSetup) -> None:
    first = smpp.stack.asked()
    smpp.wait_for_state("SENT", [first])
    name = smpp.smsc.submits(first)[0]["id"]
    smpp.smsc.do("receipt", id=name, stat="DELIVRD", to=f"51{first.phone}")
    smpp.wait_for_state("DELIVERED", [first])
    smpp.smsc.do("reuse")
    second = smpp.stack.asked()
    smpp.wait_for_state("SENT", [second])
    assert smpp.smsc.submits(second)[0]["id"] == name
    before = len(smpp.smsc.of("acknowledged"))
    smpp.smsc.do("receipt", id=name, stat="DELIVRD", to=f"51{first.phone}")
    assert smpp.smsc.next("acknowledged", before)
    assert smpp.state(second) == "SENT"
    smpp.smsc.do("receipt", id=name, stat="DELIVRD", to=f"51{second.phone}")
    smpp.wait_for_state("DELIVERED", [second])


def test_a_receipt_that_comes_as_a_telephones_message_counts_for_its_own_number_only(smpp: SmppSetup) -> None:
    asked, other = smpp.stack.asked(), smpp.stack.asked()
    smpp.wait_for_state("SENT", [asked, other])
    name = smpp.smsc.submits(asked)[0]["id"]
    text = f"id:{name} sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:DELIVRD err:000 text:-"
    before = len(smpp.smsc.of("acknowledged"))
    smpp.smsc.do("say", text=text, **{"from": f"51{other.phone}"})
    assert smpp.smsc.next("acknowledged", before)
    assert smpp.stack.states([asked, other]) == {asked.phone: "SENT", other.phone: "SENT"}
    smpp.smsc.do("say", text=text, **{"from": f"51{asked.phone}"})
    smpp.wait_for_state("DELIVERED", [asked])


def test_throttling_costs_seconds_and_no_attempt(smpp: SmppSetup) -> None:
    smpp.smsc.answers("throttled", 1)
    asked = smpp.stack.asked()
    smpp.wait_for_state("SENT", [asked])
    assert [each["answered"] for each in smpp.smsc.submits(asked)] == ["throttled", "ok"]
    assert smpp.attempts(asked) == 1
    assert not smpp.is_open()


def test_a_cut_connection_is_reopened_and_outstanding_submits_are_not_repeated(smpp: SmppSetup) -> None:
    smpp.smsc.answers("nothing")
    asked = smpp.stack.asked()
    assert wait_until(lambda: bool(smpp.smsc.submits(asked)), SOON)
    binds = len(smpp.smsc.of("bound"))
    smpp.smsc.answers("ok")
    smpp.smsc.do("disconnect")
    smpp.wait_for_state("UNKNOWN", [asked])
    assert smpp.smsc.next("bound", binds)
    after = smpp.stack.asked()
    smpp.wait_for_state("SENT", [after])
    assert (len(smpp.smsc.submits(asked)), len(smpp.smsc.submits(after))) == (1, 1)


def test_an_smsc_that_is_away_costs_no_code_and_opens_its_breaker(smpp: SmppSetup) -> None:
    smpp.smsc.do("close")
    smpp.smsc.do("disconnect")
    assert wait_until(smpp.is_open, SOON)
    reason = smpp.stack.sql("SELECT reason FROM messaging_providerstate WHERE name = %s", smpp.name)
    assert reason == [("sin sesión SMPP: el servidor rechaza la conexión",)]
    asked = smpp.stack.many_asked(3)
    binds = len(smpp.smsc.of("bound"))
    smpp.smsc.do("listen")
    assert smpp.smsc.next("bound", binds)
    smpp.wait_for_state("SENT", asked)
    assert [len(smpp.smsc.submits(each)) for each in asked] == [1, 1, 1]
    assert {smpp.attempts(each) for each in asked} == {1}
    assert wait_until(lambda: not smpp.is_open(), SOON)


def test_two_processes_for_one_gateway_share_the_work(smpp: SmppSetup) -> None:
    smpp.start_and_bind(smpp.second)
    try:
        asked = smpp.stack.many_asked(20)
        smpp.wait_for_state("SENT", asked)
    finally:
        smpp.second.kill()
    assert [len(smpp.smsc.submits(each)) for each in asked] == [1] * 20


def test_a_process_killed_anywhere_loses_none_and_repeats_none(smpp: SmppSetup) -> None:
    with ThreadPoolExecutor(1) as pool:
        before = len(smpp.smsc.of("submitted"))
        asking = pool.submit(smpp.stack.many_asked, 30)
        assert smpp.smsc.next("submitted", before + 3)
        smpp.gateway.kill()
        smpp.start_and_bind(smpp.gateway)
        asked = asking.result()
    assert wait_until(lambda: not _unsent(smpp, asked), SOON)
    smpp.lapse([each for each in asked if smpp.state(each) == "SENDING"])
    assert wait_until(lambda: set(smpp.stack.states(asked).values()) <= {"SENT", "UNKNOWN"}, SOON)
    sent = {each: len(smpp.smsc.submits(each)) for each in asked}
    assert max(sent.values()) == 1
    assert all(count == 1 for each, count in sent.items() if smpp.state(each) == "SENT")
    assert list(smpp.stack.states(asked).values()).count("UNKNOWN") <= 10, "a window at most"


def test_a_process_killed_with_submits_outstanding_leaves_them_unknown(smpp: SmppSetup) -> None:
    smpp.smsc.answers("nothing")
    asked = smpp.stack.many_asked(3)
    assert wait_until(lambda: all(smpp.smsc.submits(each) for each in asked), SOON)
    smpp.gateway.kill()
    smpp.smsc.answers("ok")
    smpp.start_and_bind(smpp.gateway)
    smpp.lapse(asked)
    smpp.wait_for_state("UNKNOWN", asked)
    assert [len(smpp.smsc.submits(each)) for each in asked] == [1, 1, 1]


def test_a_process_that_slept_past_its_lease_sends_nothing_again_and_still_hears_the_answer(smpp: SmppSetup) -> None:
    smpp.smsc.answers("nothing")
    asked = smpp.stack.asked()
    assert wait_until(lambda: bool(smpp.smsc.submits(asked)), SOON)
    smpp.gateway.freeze()
    smpp.smsc.answers("ok")
    smpp.smsc.do("release")
    smpp.lapse([asked])
    smpp.wait_for_state("UNKNOWN", [asked])
    waiting = smpp.stack.asked()
    smpp.gateway.thaw()
    smpp.wait_for_state("SENT", [asked, waiting])
    assert [len(smpp.smsc.submits(each)) for each in (asked, waiting)] == [1, 1]


def test_it_needs_no_redis(smpp: SmppSetup) -> None:
    smpp.worker.kill()
    asked = smpp.stack.many_asked(3)
    with smpp.stack.redis.frozen():
        phones = [each.phone for each in asked]
        smpp.stack.sql("UPDATE messaging_message SET lane = %s WHERE recipient = ANY(%s)", smpp.name, phones)
        smpp.wait_for_state("SENT", asked, 5)
    smpp.worker.start()


def test_it_goes_on_by_itself_after_the_database_was_away(smpp: SmppSetup) -> None:
    pid = smpp.gateway.pid
    with smpp.stack.postgres.down():
        time.sleep(0.5)
    assert wait_until(smpp.stack.is_up, SOON)

    def goes_by_the_gateway() -> bool:
        asked = smpp.stack.asked()
        smpp.wait_for_state("SENT", [asked])
        return len(smpp.smsc.submits(asked)) == 1

    assert wait_until(goes_by_the_gateway, SOON), "until then others send what it does not take in time"
    assert (smpp.gateway.pid, smpp.gateway.is_running()) == (pid, True)


def test_on_sigterm_it_unbinds_and_exits_with_0(smpp: SmppSetup) -> None:
    unbinds = len(smpp.smsc.of("unbound"))
    smpp.gateway.signal(signal.SIGTERM)
    assert smpp.gateway.process is not None
    assert smpp.gateway.process.wait(10) == 0
    assert smpp.smsc.next("unbound", unbinds)
    written = smpp.stack.logs()["smpp.log"].splitlines()
    messages = [json.loads(each)["message"] for each in written]
    assert {"smpp bound", "no smpp session", "smpp gateway ended"} <= set(messages)
    smpp.start_and_bind(smpp.gateway)


def test_its_log_holds_no_code_no_password_and_no_number(smpp: SmppSetup) -> None:
    written = smpp.stack.logs()["smpp.log"]
    rows = dict(smpp.stack.sql("SELECT recipient, text FROM messaging_message WHERE provider = %s", smpp.name))
    codes = [
        code_in(each["text"], rows[each["to"][2:]]) for each in smpp.smsc.of("submitted") if each["to"][2:] in rows
    ]
    assert len(codes) > 50
    words = set(re.findall(r"[A-Z0-9]{4}", re.sub(r"[0-9a-f-]{36}", "", written)))
    assert [code for code in codes if re.search(r"[G-Z]", code) and code in words] == []
    assert PASSWORD not in written
    assert not re.search(r"\b(?:51)?9[0-9]{8}\b", written)


def test_a_wrong_password_is_reported_and_no_code_is_lost(smpp: SmppSetup) -> None:
    other = Simulator("another")
    wrong = smpp.stack.program(
        "smpp", "smpp-wrong", SMS_URL=f"smpp://aval:{PASSWORD}@127.0.0.1:{other.port}/?sender=AVAL"
    )
    wrong.start()
    try:
        open_breaker = "SELECT reason FROM messaging_providerstate WHERE name = %s AND set_aside_at IS NOT NULL"
        name = f"smpp:127.0.0.1:{other.port}"
        assert wait_until(lambda: bool(smpp.stack.sql(open_breaker, name)), SOON)
        assert smpp.stack.sql(open_breaker, name) == [("sin sesión SMPP: clave rechazada (0x0000000E)",)]
    finally:
        wrong.kill()
        other.close()


def test_make_run_starts_it_where_there_is_an_smpp_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMS_URL", "sandbox://")
    assert "smpp" not in enabled_programs()
    monkeypatch.setenv("SMS_URL", "sandbox:// SMPP://aval:hunter2@smsc/?sender=AVAL")
    assert "smpp" in enabled_programs()
    assert "web" in enabled_programs()


def _unsent(smpp: SmppSetup, asked: Sequence[Asked]) -> bool:
    rows = smpp.stack.sql(
        "SELECT count(*) FROM messaging_message WHERE recipient = ANY(%s)"
        " AND (state = 'QUEUED' OR (state = 'SENDING' AND handed_over_at IS NULL))",
        [each.phone for each in asked],
    )
    return bool(rows[0][0])
