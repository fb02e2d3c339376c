"""A bound session with a scripted SMSC: submits, their answers, ends of the connection."""

import struct
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.delivery import circuit_breaker, send, sweeper
from messaging.delivery.sweeper import SILENT_PROCESS
from messaging.models import Message, MessageEvent, ProviderReceipt, ProviderState
from messaging.smpp import session
from messaging.smpp.pdus import pdu
from messaging.tests.queued import queue
from messaging.tests.smsc import FAST, gateway_at, serve, smsc, state, waiting
from messaging.tests.smtp_servers import make_authority

pytestmark = pytest.mark.django_db

THROTTLED, QUEUE_FULL, BAD_NUMBER, SUBMIT_FAILED, SYSTEM_ERROR = 0x58, 0x14, 0x0B, 0x45, 0x08


def reloaded(message):
    return Message.objects.get(pk=message.pk)


def test_a_code_is_sent_as_a_submit_sm_that_expires_with_it_and_asks_for_a_receipt(settings):
    seen = []

    def script(peer):
        seen.extend([peer.accept_bind(), peer.accept("4f2a")])
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings, "&system_type=SMS")
        message = waiting(gateway, send_before=timezone.now() + timedelta(seconds=100))
        serve(gateway, lambda: state(message) == "SENT")
    bind, submit = seen
    assert (bind.command, bind.system_id, bind.password) == ("bind_transceiver", b"aval", b"hunter2")
    assert (bind.system_type, bind.interface_version) == (b"SMS", 0x34)
    assert (submit.source_addr_ton, submit.source_addr_npi, submit.source_addr) == (5, 0, b"AVAL")
    assert (submit.dest_addr_ton, submit.dest_addr_npi, submit.destination_addr) == (1, 1, b"51987654321")
    assert (submit.registered_delivery, submit.esm_class, submit.data_coding) == (1, 0, 0)
    assert submit.short_message == b"clave A1B2"
    assert submit.validity_period in (b"000000000139000R", b"000000000138000R")
    row = reloaded(message)
    assert (row.provider, row.provider_id, row.provider_reply) == (gateway.name, "4f2a", "smpp: aceptado")
    assert (row.attempts, row.gateway_queue, row.sealed) == (1, "", None)


def test_only_the_window_is_outstanding_and_each_answer_finds_its_own_message(settings):
    def script(peer):
        peer.accept_bind()
        first = [peer.read("submit_sm") for _ in range(3)]
        peer.connection.settimeout(0.15)
        with pytest.raises(TimeoutError):
            peer.read("submit_sm")
        peer.connection.settimeout(5)
        for submit in reversed(first):
            peer.send("submit_sm_resp", submit.sequence, message_id=submit.short_message.decode().split()[-1])
        peer.accept("last")
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings, "&window=3")
        made = [waiting(gateway, secret=f"A1B{number}", at=timezone.now()) for number in range(4)]
        serve(gateway, lambda: all(state(each) == "SENT" for each in made))
    assert [reloaded(each).provider_id for each in made] == ["A1B0", "A1B1", "A1B2", "last"]


def test_no_more_than_the_agreed_number_leaves_in_any_second(settings):
    arrived = []

    def script(peer):
        peer.accept_bind()
        for number in range(7):
            peer.accept(str(number))
            arrived.append(time.monotonic())
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings, "&per_second=3")
        made = [waiting(gateway) for _ in range(7)]
        serve(gateway, lambda: all(state(each) == "SENT" for each in made))
    assert all(later - earlier > 0.9 for earlier, later in zip(arrived, arrived[3:], strict=False))
    assert {reloaded(each).attempts for each in made} == {1}, "waiting is no attempt"


@pytest.mark.parametrize(
    ("status", "expected", "attempts", "reply"),
    [
        (THROTTLED, "QUEUED", 0, "smpp 0x00000058: demasiados mensajes por segundo"),
        (QUEUE_FULL, "QUEUED", 0, "smpp 0x00000014: la cola del SMSC está llena"),
        (SUBMIT_FAILED, "QUEUED", 1, "smpp 0x00000045: el SMSC no aceptó el mensaje"),
        (0x412, "QUEUED", 1, "smpp 0x00000412: rechazado con un código propio del operador"),
        (0x01, "QUEUED", 1, "smpp 0x00000001: largo de mensaje no válido"),
        (0x65, "QUEUED", 1, "smpp 0x00000065: rechazo definitivo del SMSC"),
        (0x66, "QUEUED", 1, "smpp 0x00000066: el SMSC rechaza el mensaje"),
        (BAD_NUMBER, "FAILED", 1, "smpp 0x0000000B: el número de destino no es válido"),
        (SYSTEM_ERROR, "UNKNOWN", 1, "smpp 0x00000008: falla interna del SMSC"),
    ],
)
def test_what_an_error_means(settings, status, expected, attempts, reply):
    def script(peer):
        peer.accept_bind()
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, status)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: bool(reloaded(message).provider_reply))
    row = reloaded(message)
    assert (row.state, row.attempts, row.provider_reply, row.gateway_queue) == (expected, attempts, reply, "")


def test_a_throttled_session_pauses_and_then_goes_on(settings):
    times = []

    def script(peer):
        peer.accept_bind()
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, THROTTLED)
        times.append(time.monotonic())
        peer.accept("ok")
        times.append(time.monotonic())
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        first = waiting(gateway)

        def again():
            Message.objects.filter(state="QUEUED").update(gateway_queue=gateway.name, next_attempt_at=timezone.now())
            return state(first) == "SENT"

        serve(gateway, again)
    assert times[1] - times[0] >= FAST.throttled * 0.9
    assert reloaded(first).attempts == 1


def test_a_nack_of_a_submit_says_that_it_was_not_taken(settings):
    def script(peer):
        peer.accept_bind()
        peer.send("generic_nack", peer.read("submit_sm").sequence, 3)
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: bool(reloaded(message).provider_reply))
    assert (state(message), reloaded(message).provider_reply) == ("QUEUED", "smpp 0x00000003: comando desconocido")


def test_silence_is_unknown_and_a_late_answer_settles_it(settings):
    seen = []

    def quiet(peer):
        peer.accept_bind()
        submit = peer.read("submit_sm")
        deadline = time.monotonic() + 2 * FAST.answer
        while time.monotonic() < deadline:
            peer.send("enquire_link_resp", peer.read("enquire_link").sequence)
        peer.send("submit_sm_resp", submit.sequence, message_id="late")
        peer.keep_alive()

    with smsc(quiet) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: (state(message) == "UNKNOWN" and seen.append(1)) or state(message) == "SENT")
    assert seen, "first it was UNKNOWN"
    row = reloaded(message)
    assert (row.provider_id, row.attempts) == ("late", 1)
    assert [event.state for event in MessageEvent.objects.order_by("id")] == ["SENDING", "UNKNOWN", "SENT"]


def test_submits_outstanding_when_the_connection_broke_are_unknown_and_not_sent_again(settings):
    def cut(peer):
        peer.accept_bind()
        peer.read("submit_sm")

    def second(peer):
        peer.accept_bind()
        peer.accept("second")
        assert peer.keep_alive() == []

    with smsc(cut, second) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)

        def both():
            if state(message) == "UNKNOWN" and not others:
                others.append(waiting(gateway))
            return others and state(others[0]) == "SENT"

        others = []
        serve(gateway, both)
    row = reloaded(message)
    assert (row.state, row.provider_reply) == ("UNKNOWN", "smpp: se cortó la conexión antes de la respuesta")


def test_a_submit_that_did_not_leave_completely_goes_back_without_losing_an_attempt(settings):
    """The SMSC reads nothing more: octets in the system's buffers have left, the rest certainly has not."""

    over = threading.Event()

    def never_reads(peer):
        peer.accept_bind()
        over.wait(20)

    with smsc(never_reads) as port:
        gateway = gateway_at(port, settings, "&window=100")
        long = "x" * 60_000
        made = [waiting(gateway, text=long, secret=None) for _ in range(100)]
        returned = MessageEvent.objects.filter(detail="no llegó a salir").values("message")
        # Until the connection is given up: before that the system may still take what waits half written.
        cut_short = MessageEvent.objects.filter(message__in=returned, state="SENDING")
        serve(gateway, lambda: state(made[0]) == "UNKNOWN" and cut_short.exists(), replace(FAST, idle=60))
        over.set()
    rows = list(Message.objects.all())
    unknown = [row for row in rows if row.state == "UNKNOWN"]
    back = [row for row in rows if row.state == "QUEUED" and not row.gateway_queue]
    assert unknown
    assert all(row.attempts == 1 for row in unknown)
    assert {(row.attempts, row.handed_over_at) for row in back} == {(0, None)}
    assert set(MessageEvent.objects.filter(message__in=back, state="QUEUED").values_list("detail", flat=True)) == {
        "no llegó a salir"
    }
    on_its_way = MessageEvent.objects.filter(message__in=back, state="SENDING")
    assert on_its_way.count() == 1, "the others were not even handed over"
    assert {row.attempts for row in rows if row.gateway_queue} == {0}


def test_a_pdu_in_pieces_is_one_and_several_in_one_piece_are_several(settings):
    def script(peer):
        peer.accept_bind()
        first, second = peer.read("submit_sm"), peer.read("submit_sm")
        octets = b"".join(
            pdu("submit_sm_resp", each.sequence, message_id=f"n{each.sequence}") for each in (first, second)
        )
        for cut in (octets[:3], octets[3:18], octets[18:]):
            peer.raw(cut)
            time.sleep(0.05)
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        made = [waiting(gateway) for _ in range(2)]
        serve(gateway, lambda: all(state(each) == "SENT" for each in made))
    assert len({reloaded(each).provider_id for each in made}) == 2


@pytest.mark.parametrize("octets", [b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack(">LLLL", 8, 0x15, 0, 1)])
def test_invalid_input_ends_the_connection_and_a_new_one_is_made(settings, octets):
    def send_garbage(peer):
        peer.accept_bind()
        peer.raw(octets)
        peer.keep_alive()

    def well(peer):
        peer.accept_bind()
        peer.keep_alive()

    bound = []
    with smsc(send_garbage, lambda peer: (bound.append(1), well(peer))) as port:
        serve(gateway_at(port, settings), lambda: bound)


def test_a_submit_half_answered_when_the_connection_breaks_is_unknown(settings):
    def script(peer):
        peer.accept_bind()
        peer.raw(pdu("submit_sm_resp", peer.read("submit_sm").sequence, message_id="abc")[:-2])

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "UNKNOWN")


def test_a_dead_connection_is_detected_by_enquire_link(settings):
    def dead(peer):
        peer.accept_bind()
        assert peer.next().command == "enquire_link"
        while peer.next() is not None:
            pass

    bound = []
    with smsc(dead, lambda peer: (peer.accept_bind(), bound.append(1), peer.keep_alive())) as port:
        serve(gateway_at(port, settings), lambda: bound)


def test_the_smsc_may_ask_too_and_what_we_do_not_know_is_refused(settings):
    answers = []

    def script(peer):
        peer.accept_bind()
        peer.send("enquire_link", 77)
        peer.raw(struct.pack(">LLLL", 16, 0x00010203, 0, 78))
        answers.extend(peer.next() for _ in range(2))
        peer.keep_alive()

    with smsc(script) as port:
        serve(gateway_at(port, settings), lambda: len(answers) == 2)
    assert [(each.command, each.sequence, each.status) for each in answers] == [
        ("enquire_link_resp", 77, 0),
        ("generic_nack", 78, 3),
    ]


def test_an_unbind_of_the_smsc_waits_for_its_answers_and_is_answered(settings):
    def script(peer):
        peer.accept_bind()
        submit = peer.read("submit_sm")
        peer.send("unbind", 5)
        time.sleep(0.05)
        peer.send("submit_sm_resp", submit.sequence, message_id="abc")
        assert peer.next().command == "unbind_resp"

    bound = []
    with smsc(script, lambda peer: (peer.accept_bind(), bound.append(1), peer.keep_alive())) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: bound)
    assert state(message) == "SENT"


def test_at_shutdown_it_waits_for_outstanding_answers_and_unbinds(settings):
    said = []

    def script(peer):
        peer.accept_bind()
        submit = peer.read("submit_sm")
        peer.connection.settimeout(0.15)
        with pytest.raises(TimeoutError):
            peer.read("unbind")
        peer.connection.settimeout(5)
        peer.send("submit_sm_resp", submit.sequence, message_id="abc")
        said.append(peer.read("unbind").command)
        peer.send("unbind_resp", 3)

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "SENDING")
    assert state(message) == "SENT"
    assert said == ["unbind"]


# --- the bind and the provider's health --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0x0E, "sin sesión SMPP: clave rechazada (0x0000000E)"),
        (0x0F, "sin sesión SMPP: usuario rechazado (0x0000000F)"),
        (0x0D, "sin sesión SMPP: el SMSC rechaza la sesión (0x0000000D)"),
    ],
)
def test_a_refused_bind_sets_the_provider_aside_with_its_reason_until_it_is_bound(settings, status, reason):
    def set_aside():
        return ProviderState.objects.filter(set_aside_at__isnull=False).first()

    reasons = []

    def bound_again():
        row = set_aside()
        if row is not None:
            reasons.append(row.reason)
        return reasons and row is None

    def refuse(peer):
        peer.accept_bind(status)

    with smsc(refuse, refuse, lambda peer: (peer.accept_bind(), peer.keep_alive())) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, bound_again)
    assert set(reasons) == {reason}
    assert "hunter2" not in reason
    assert reloaded(message).attempts <= 1


def test_a_refused_connection_is_a_reason_too(settings):
    with smsc(lambda peer: peer.accept_bind()) as port:
        gateway = gateway_at(port, settings)
        serve(gateway, lambda: ProviderState.objects.filter(set_aside_at__isnull=False).exists())
    assert ProviderState.objects.get().reason == "sin sesión SMPP: el servidor rechaza la conexión"


def test_a_second_process_that_may_not_bind_does_not_set_the_first_ones_provider_aside(settings):
    tries = []

    def refuse(peer):
        peer.accept_bind(0x05)
        tries.append(1)

    with smsc(refuse, refuse) as port:
        serve(gateway_at(port, settings), lambda: len(tries) == 2)
    assert not ProviderState.objects.filter(set_aside_at__isnull=False).exists()


def test_a_bind_restores_what_the_sweep_set_aside_for_its_absence_and_nothing_else(settings):
    def script(peer):
        peer.accept_bind()
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        waiting(gateway)
        Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=6))
        sweeper.free_gateway_queues(at=timezone.now())
        assert ProviderState.objects.get().reason == SILENT_PROCESS
        serve(gateway, lambda: not ProviderState.objects.get().is_open)

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        row = ProviderState.objects.create(
            name=gateway.name,
            set_aside_at=timezone.now(),
            until=timezone.now() + timedelta(minutes=1),
            reason="3 fallas seguidas",
        )
        began = time.monotonic()
        serve(gateway, lambda: time.monotonic() - began > 0.3)
        row.refresh_from_db()
        assert row.is_open


def test_submits_without_an_answer_set_the_provider_aside_before_their_deadline(settings, monkeypatch):
    monkeypatch.setattr(circuit_breaker, "SILENT_AFTER", 0.1)
    monkeypatch.setattr(session, "SILENT_AFTER", 0.1)

    def silent(peer):
        peer.accept_bind()
        peer.keep_alive()

    with smsc(silent) as port:
        gateway = gateway_at(port, settings)
        made = [waiting(gateway) for _ in range(3)]
        serve(gateway, lambda: ProviderState.objects.filter(set_aside_at__isnull=False).exists())
        assert "sin respuesta" in ProviderState.objects.get().reason
    assert {state(each) for each in made} <= {"UNKNOWN"}


def test_what_waits_for_our_own_rate_is_not_freed_by_the_sweep(settings):
    with smsc(lambda peer: (peer.accept_bind(), peer.accept("one"), peer.keep_alive())) as port:
        gateway = gateway_at(port, settings, "&per_second=1")
        made = [waiting(gateway, at=timezone.now() - timedelta(seconds=4)) for _ in range(2)]

        def renewed():
            return timezone.now() - reloaded(made[1]).next_attempt_at < timedelta(seconds=3)

        serve(gateway, lambda: state(made[0]) == "SENT" and renewed())
        sweeper.free_gateway_queues(at=timezone.now() + timedelta(seconds=1.5))
    assert reloaded(made[1]).gateway_queue == gateway.name
    assert not ProviderState.objects.filter(set_aside_at__isnull=False).exists()


def test_without_a_session_codes_go_to_the_next_provider_and_return_with_it(settings):
    gateway = gateway_at(1, settings)
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "S": (*settings.AVAL_GATEWAYS["S"], "sandbox://")}
    serve(gateway, lambda: ProviderState.objects.filter(set_aside_at__isnull=False).exists())
    message = queue()
    send.deliver_due("codes")
    assert (state(message), reloaded(message).provider) == ("SENT", "sandbox")


def test_tls_is_spoken_where_it_is_asked_for_and_certificates_are_checked(settings, tmp_path):
    ours, others = [make_authority(made) for made in (tmp_path / "ours", tmp_path / "others") if made.mkdir() is None]

    def script(peer):
        peer.accept_bind()
        peer.accept("abc")
        peer.keep_alive()

    with smsc(script, tls=ours.server_context("127.0.0.1")) as port:
        gateway = gateway_at(port, settings, f"&tls=true&ca={ours.file}")
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "SENT")
    with smsc(lambda peer: None, tls=ours.server_context("127.0.0.1")) as port:
        gateway = gateway_at(port, settings, f"&tls=true&ca={others.file}")
        serve(gateway, lambda: ProviderState.objects.filter(name=gateway.name, set_aside_at__isnull=False).exists())
        assert "certificado del servidor no válido" in ProviderState.objects.get(name=gateway.name).reason


def test_an_answer_that_cannot_be_recorded_does_not_stop_the_others(settings, monkeypatch):
    taken = send.record_taken

    def fails_for_one(answers, *, at):
        if answers[0][1].provider_id == "one":
            raise RuntimeError("a fault of our own")
        taken(answers, at=at)

    monkeypatch.setattr(send, "record_taken", fails_for_one)
    with smsc(lambda peer: (peer.accept_bind(), peer.accept("one"), peer.accept("two"), peer.keep_alive())) as port:
        gateway = gateway_at(port, settings, "&window=1")
        made = [waiting(gateway) for _ in range(2)]
        serve(gateway, lambda: state(made[1]) == "SENT")
    assert state(made[0]) == "SENDING", "its lease ends, and the sweep says UNKNOWN"


# --- receipts in a session ----------------------------------------------------------------------------------


def test_a_receipt_before_the_answer_and_one_twice_and_one_in_hexadecimal(settings):
    acks = []

    def script(peer):
        peer.accept_bind()
        submit = peer.read("submit_sm")
        peer.receipt("id:6699 sub:001 dlvrd:001 stat:DELIVRD err:000 text:clave A1B2")
        peer.receipt("id:6699 sub:001 dlvrd:001 stat:DELIVRD err:000 text:clave A1B2")
        peer.send("submit_sm_resp", submit.sequence, message_id="1A2B")
        acks.extend(peer.read("deliver_sm_resp") for _ in range(2))
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "DELIVERED")
    assert [ack.status for ack in acks] == [0, 0]
    assert MessageEvent.objects.filter(message=message, state="DELIVERED").count() == 1


def test_a_telephones_message_is_acknowledged_and_not_stored(settings, caplog):
    acks = []

    def script(peer):
        peer.accept_bind()
        peer.send("deliver_sm", source_addr="51987654321", destination_addr="AVAL", short_message=b"mi clave es A1B2")
        acks.append(peer.read("deliver_sm_resp").status)
        peer.keep_alive()

    with smsc(script) as port, caplog.at_level("DEBUG"):
        serve(gateway_at(port, settings), lambda: acks)
    assert acks == [0]
    assert not ProviderReceipt.objects.exists()
    assert "a telephone wrote to us" in caplog.text
    assert "A1B2" not in caplog.text
    assert "987654321" not in caplog.text


def test_no_log_line_holds_a_code_a_password_or_a_number(settings, caplog):
    with (
        smsc(
            lambda peer: (
                peer.accept_bind(),
                peer.accept("abc"),
                peer.receipt("id:abc stat:UNDELIV err:001 text:A1B2"),
                peer.keep_alive(),
            )
        ) as port,
        caplog.at_level("DEBUG"),
    ):
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "UNDELIVERED")
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records if not record.name.startswith("django"))
    for secret in ("A1B2", "hunter2", "987654321"):
        assert secret not in said


def test_a_message_whose_number_no_smsc_could_reach_fails_at_once(settings):
    with smsc(lambda peer: (peer.accept_bind(), peer.keep_alive())) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, recipient="12345")
        serve(gateway, lambda: state(message) == "FAILED")
    assert reloaded(message).provider_reply == "el destino no es un celular"


def test_a_worker_puts_a_code_into_the_gateways_queue_and_sends_nothing_itself(settings):
    gateway = gateway_at(2775, settings)
    message = waiting(gateway)
    Message.objects.update(gateway_queue="")
    send.deliver_due("codes")
    row = reloaded(message)
    assert (row.state, row.gateway_queue, row.attempts) == ("QUEUED", gateway.name, 0)
