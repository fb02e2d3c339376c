"""Texts of several segments: as message_payload, and in parts where an SMSC refuses that; never twice."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.models import Message, MessageEvent, ProviderState
from messaging.tests.smsc import gateway_at, serve, smsc, state, waiting

pytestmark = pytest.mark.django_db

LONG = "x" * 150 + " clave •••• " + "y" * 150
WHOLE = LONG.replace("••••", "A1B2").encode()
REFUSALS = [0x01, 0x02, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4]
THROTTLED, BAD_NUMBER, SUBMIT_FAILED = 0x58, 0x0B, 0x45


def refuse_payload(peer, status=0xC0, command="submit_sm_resp"):
    """Refuse the next submit, which must have message_payload."""
    submit = peer.read("submit_sm")
    assert (submit.message_payload, submit.short_message) == (WHOLE, b"")
    peer.send(command, submit.sequence, status)


def take_part(peer, name, number, of=3):
    submit = peer.read("submit_sm")
    assert submit.message_payload is None
    assert submit.esm_class == 0x40
    assert submit.registered_delivery == (1 if number == of else 0)
    assert (submit.short_message[:3], submit.short_message[4:6]) == (b"\x05\x00\x03", bytes((of, number)))
    peer.send("submit_sm_resp", submit.sequence, message_id=name)
    return submit


def take_parts(peer, name, of=3):
    parts = [take_part(peer, f"{name}{number}", number, of) for number in range(1, of + 1)]
    assert b"".join(part.short_message[6:] for part in parts) == WHOLE
    assert len({part.short_message[3] for part in parts}) == 1
    assert {part.validity_period[:9] for part in parts} == {b"000000000"}
    return parts


def tries(message):
    return MessageEvent.objects.filter(message=message, state="SENDING").count()


@pytest.mark.parametrize("command", ["submit_sm_resp", "generic_nack"])
@pytest.mark.parametrize("status", REFUSALS)
def test_where_the_payload_is_refused_the_text_goes_in_parts_and_its_receipt_counts(settings, status, command):
    def script(peer):
        peer.accept_bind()
        refuse_payload(peer, status, command)
        take_parts(peer, "p")
        peer.receipt("id:p3 sub:001 dlvrd:001 stat:DELIVRD err:000")
        peer.read("deliver_sm_resp")
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: state(message) == "DELIVERED")
    row = Message.objects.get(pk=message.pk)
    assert (row.provider_id, row.attempts, row.sealed, tries(message)) == ("p3", 1, None, 1)
    assert not ProviderState.objects.filter(set_aside_at__isnull=False).exists()


def test_a_refusal_of_message_payload_is_remembered_for_later_sessions(settings):
    def first(peer):
        peer.accept_bind()
        refuse_payload(peer)
        take_parts(peer, "a")
        take_parts(peer, "b")

    def second(peer):
        peer.accept_bind()
        take_parts(peer, "c")
        peer.keep_alive()

    with smsc(first, second) as port:
        gateway = gateway_at(port, settings)
        made = [waiting(gateway, text=LONG)]

        def all_three():
            if state(made[-1]) == "SENT" and len(made) < 3:
                made.append(waiting(gateway, text=LONG))
            return len(made) == 3 and state(made[-1]) == "SENT"

        serve(gateway, all_three)
    assert list(Message.objects.order_by("created_at").values_list("provider_id", flat=True)) == ["a3", "b3", "c3"]


def test_several_long_texts_that_are_outstanding_are_all_divided(settings):
    def script(peer):
        peer.accept_bind()
        submits = [peer.read("submit_sm") for _ in range(2)]
        for submit in submits:
            peer.send("submit_sm_resp", submit.sequence, 0xC0)
        got = []
        for _ in range(6):
            submit = peer.read("submit_sm")
            got.append(submit.short_message[3:6])
            peer.send("submit_sm_resp", submit.sequence, message_id=submit.short_message[3:6].hex())
        assert len(set(got)) == 6, "each text has a reference of its own"
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        made = [waiting(gateway, text=LONG) for _ in range(2)]
        serve(gateway, lambda: all(state(each) == "SENT" for each in made))


@pytest.mark.parametrize("status", REFUSALS)
def test_the_same_answer_to_a_short_text_means_what_it_says(settings, status):
    def script(peer):
        peer.accept_bind()
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, status)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "QUEUED" and tries(message))
    assert Message.objects.get(pk=message.pk).attempts == 1


@pytest.mark.parametrize(
    ("status", "expected", "attempts"),
    [
        (SUBMIT_FAILED, "QUEUED", 1),
        (BAD_NUMBER, "FAILED", 1),
        (THROTTLED, "QUEUED", 0),
        (0xC0, "QUEUED", 1),
        (0x01, "QUEUED", 1),
    ],
)
def test_a_refusal_of_the_first_part_is_one_of_the_message(settings, status, expected, attempts):
    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, status)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: Message.objects.get(pk=message.pk).provider_reply)
    row = Message.objects.get(pk=message.pk)
    assert (row.state, row.attempts, row.gateway_queue) == (expected, attempts, "")


@pytest.mark.parametrize("status", [SUBMIT_FAILED, BAD_NUMBER, 0x08, 0xC0])
def test_a_refusal_of_a_later_part_is_unknown_and_nothing_is_sent_again(settings, status):
    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        take_part(peer, "p1", 1)
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, status)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: state(message) == "UNKNOWN")
    assert status == 0x08 or "el SMSC había tomado 1 de 3 partes" in Message.objects.get(pk=message.pk).provider_reply


def test_a_part_that_came_too_fast_is_offered_again_and_the_others_are_not(settings):
    times = []

    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        take_part(peer, "p1", 1)
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, THROTTLED)
        times.append(time.monotonic())
        take_part(peer, "p2", 2)
        times.append(time.monotonic())
        take_part(peer, "p3", 3)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: state(message) == "SENT")
    assert times[1] - times[0] > 0.15
    assert tries(message) == 1


@pytest.mark.parametrize("taken", [0, 1])
def test_a_connection_that_ends_between_two_parts(settings, taken):
    """Before a part is taken: back to the queue, unless one left and its outcome is unclear. After one: UNKNOWN."""

    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        for number in range(taken):
            take_part(peer, f"p{number + 1}", number + 1)
        peer.read("submit_sm")

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: state(message) == "UNKNOWN")
    assert tries(message) == 1


def test_a_part_without_an_answer_is_unknown_and_no_other_follows(settings):
    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        take_part(peer, "p1", 1)
        peer.read("submit_sm")
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: state(message) == "UNKNOWN")


def test_parts_count_in_the_agreed_rate(settings):
    arrived = []

    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        arrived.append(time.monotonic())
        for number in (1, 2, 3):
            take_part(peer, f"p{number}", number)
            arrived.append(time.monotonic())
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings, "&per_second=2")
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: state(message) == "SENT")
    assert arrived[3] - arrived[1] > 0.9, "two in any second"


def test_at_shutdown_the_remaining_parts_are_sent(settings):
    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        take_part(peer, "p1", 1)
        time.sleep(0.1)
        take_part(peer, "p2", 2)
        take_part(peer, "p3", 3)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG)
        serve(gateway, lambda: tries(message))
    assert (state(message), Message.objects.get(pk=message.pk).provider_id) == ("SENT", "p3")


def test_a_code_that_expires_between_two_parts_sends_no_further_part(settings):
    def script(peer):
        peer.accept_bind()
        refuse_payload(peer)
        submit = peer.read("submit_sm")
        time.sleep(0.2)
        peer.send("submit_sm_resp", submit.sequence, message_id="p1")
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text=LONG, send_before=timezone.now() + timedelta(seconds=1.15))
        serve(gateway, lambda: state(message) == "UNKNOWN")
    assert "venció" in Message.objects.get(pk=message.pk).provider_reply


def test_a_text_of_more_than_255_parts_fails(settings):
    def script(peer):
        peer.accept_bind()
        peer.send("submit_sm_resp", peer.read("submit_sm").sequence, 0xC0)
        assert peer.keep_alive() == []

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway, text="x" * 40_000, secret=None)
        serve(gateway, lambda: state(message) == "FAILED")
    assert Message.objects.get(pk=message.pk).provider_reply == "el texto es demasiado largo"
