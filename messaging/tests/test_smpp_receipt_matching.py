"""A receipt settles only its own message: reused ids, ids of any characters, and no ids at all."""

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.delivery import receipts, send
from messaging.gateways.base import OutcomeUnknown, Receipt
from messaging.models import Message, MessageEvent, ProviderReceipt
from messaging.smpp import delivery_receipts
from messaging.smpp.delivery_receipts import DeliveryReceipt
from messaging.smpp.gateway_queue import GatewayQueue
from messaging.tests.queued import queue
from messaging.tests.smpp_frames import GATEWAY, frame
from messaging.tests.smsc import gateway_at, serve, smsc, state, waiting
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db

NUMBER, OTHER = "987654321", "911111111"
SMSC = FakeGateway(GATEWAY)


def handed_over(recipient=NUMBER, provider=SMSC, **changes):
    """A message that is handed over and has no answer yet."""
    queue(recipient=recipient, **changes)
    [claimed] = send.claim("codes", at=timezone.now())
    assert send.hand_over(claimed, provider, at=timezone.now())
    return claimed


def taken(message, name):
    send.record_taken([(message, Receipt(name or str(message.pk), "smpp: aceptado"))], at=timezone.now())
    delivery_receipts.catch_up(GATEWAY, message.pk, name or str(message.pk), at=timezone.now())
    return message


def sent(name, recipient=NUMBER):
    return taken(handed_over(recipient), name)


def long_ago(message, **ago):
    Message.objects.filter(pk=message.pk).update(handed_over_at=timezone.now() - timedelta(**ago))
    return message


def receive(name, stat="DELIVRD", number="51" + NUMBER, us="AVAL", **more):
    return delivery_receipts.save(GATEWAY, DeliveryReceipt(name, stat, "000", (number, us)), at=timezone.now(), **more)


# --- ids that the SMSC gives again -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [NUMBER, "AVAL", ""])
@pytest.mark.parametrize("stat", ["DELIVRD", "UNDELIV"])
def test_an_id_given_again_waits_for_its_own_receipt(number, stat):
    monday = sent("63392697")
    assert receive("63392697", stat, number)
    tuesday = sent("63392697")
    settled = "DELIVERED" if stat == "DELIVRD" else "UNDELIVERED"
    assert (state(monday), state(tuesday)) == (settled, "SENT")
    assert receive("63392697", stat, number)
    assert (state(monday), state(tuesday)) == (settled, settled)


def test_an_id_given_again_to_another_number_waits_for_its_own_receipt():
    monday = sent("63392697")
    receive("63392697")
    tuesday = sent("63392697", OTHER)
    assert not receive("63392697"), "Monday's, once more"
    assert (state(monday), state(tuesday)) == ("DELIVERED", "SENT")
    assert receive("63392697", number=OTHER)
    assert state(tuesday) == "DELIVERED"


@pytest.mark.parametrize("first", [NUMBER, OTHER])
def test_of_two_live_messages_under_one_id_the_receipt_is_the_ones_whose_number_it_names(first):
    messages = {NUMBER: sent("77", NUMBER), OTHER: sent("77", OTHER)}
    assert receive("77", "UNDELIV", number=first)
    assert {number: state(each) for number, each in messages.items()} == {
        NUMBER: "UNDELIVERED" if first == NUMBER else "SENT",
        OTHER: "UNDELIVERED" if first == OTHER else "SENT",
    }


@pytest.mark.parametrize("number", [NUMBER, "AVAL"])
def test_of_two_live_messages_under_one_id_the_receipt_is_the_later_ones(number):
    earlier, later = sent("77"), sent("77")
    assert receive("77", number=number)
    assert not receive("77", number=number), "the same one once more is not about the earlier message"
    assert (state(earlier), state(later)) == ("SENT", "DELIVERED")


def test_a_receipt_that_names_another_number_settles_nothing():
    message = sent("77")
    assert not receive("77", number=OTHER)
    assert state(message) == "SENT"


@pytest.mark.parametrize(
    "written",
    ["987654321", "51987654321", "+51987654321", "0051987654321", "+51 987 654 321", "51-987-654-321", "0987654321"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_number_is_the_same_however_it_is_written_and_at_whichever_end(written, turned):
    addresses = ("AVAL", written) if turned else (written, "AVAL")
    receipt = delivery_receipts.read(
        frame(text=b"id:77 stat:DELIVRD err:000", source_addr=addresses[0], destination_addr=addresses[1])
    )
    mine, others = sent("77"), sent("77", OTHER)
    assert delivery_receipts.save(GATEWAY, receipt, at=timezone.now())
    assert (state(mine), state(others)) == ("DELIVERED", "SENT")


@pytest.mark.parametrize("written", ["56987654321", "502987654321", "1987654321", "98765432", "9876543210"])
def test_a_number_of_another_country_or_length_is_another_number(written):
    receipt = delivery_receipts.read(frame(text=b"id:77 stat:DELIVRD err:000", source_addr=written))
    message = sent("77")
    assert not delivery_receipts.save(GATEWAY, receipt, at=timezone.now())
    assert state(message) == "SENT"


@pytest.mark.parametrize("sender", ["51900000001", "900000001"])
def test_our_own_number_in_a_receipt_is_no_recipient(sender):
    message = sent("77")
    assert receive("77", number="", us="51900000001", sender=sender)
    assert state(message) == "DELIVERED"


@pytest.mark.parametrize("address", ["4040", "0000000", "AVAL", "", "5198765XXXX", "51987****21", "<SMSC>"])
def test_an_address_that_is_no_number_is_no_recipient(address):
    message = sent("77")
    assert receive("77", number=address)
    assert state(message) == "DELIVERED"


def test_a_receipt_of_before_the_hand_over_is_not_the_messages():
    delivery_receipts.save(
        GATEWAY, DeliveryReceipt("77", "DELIVRD", "000", (NUMBER, "AVAL")), at=timezone.now() - timedelta(hours=1)
    )
    message = sent("77")
    assert state(message) == "SENT"
    assert not delivery_receipts.save(
        GATEWAY, DeliveryReceipt("77", "UNDELIV", "000", (NUMBER, "AVAL")), at=timezone.now() - timedelta(hours=1)
    )
    assert state(message) == "SENT"


@pytest.mark.parametrize("number", [NUMBER, "AVAL"])
def test_an_early_receipt_counts_for_the_message_that_was_being_handed_over(number):
    message = handed_over()
    assert not receive("77", number=number)
    assert state(taken(message, "77")) == "DELIVERED"
    later = sent("77")
    assert state(later) == "SENT", "one receipt never settles two messages"


def test_an_early_receipt_counts_for_the_number_that_it_names_only():
    mine, others = handed_over(), handed_over(OTHER)
    assert not receive("77", number=OTHER)
    assert state(taken(mine, "77")) == "SENT"
    assert state(taken(others, "77")) == "DELIVERED"


def test_an_early_receipt_of_a_later_message_under_a_settled_id_is_not_lost():
    monday = sent("77")
    receive("77")
    tuesday = handed_over()
    assert not receive("77")
    assert state(taken(tuesday, "77")) == "DELIVERED"
    assert MessageEvent.objects.filter(message=monday, state="DELIVERED").count() == 1


def test_early_receipts_in_another_spelling_count_for_their_number_and_once():
    first, second = handed_over(), handed_over(OTHER)
    receive("6699", number=OTHER)
    assert state(taken(first, "1A2B")) == "SENT"
    assert state(taken(second, "1a2b")) == "DELIVERED"
    assert state(sent("1a2b", OTHER)) == "SENT"


def test_an_smsc_whose_name_begins_like_anothers_is_another_one():
    message = handed_over(provider=FakeGateway("smpp:127.0.0.1:27751"))
    taken(message, "77")
    assert not receive("77")
    assert state(message) == "SENT"


def test_what_a_row_keeps_of_the_number_is_no_number_and_goes_once_it_is_of_no_use():
    receive("77", number=OTHER)
    [row] = ProviderReceipt.objects.all()
    assert len(row.recipients) == 1
    assert OTHER not in str(row.recipients)
    message = sent("78")
    receive("78")
    settled = ProviderReceipt.objects.get(provider_id="78")
    assert (settled.message_id, settled.recipients) == (message.pk, [])


def test_the_row_of_a_receipt_bears_the_id_that_its_message_has():
    """An erasure and a person's copy of their data find the receipt by it."""
    message = handed_over()
    receive("6699")
    taken(message, "1a2b")
    receive("6699")
    assert set(ProviderReceipt.objects.values_list("provider_id", flat=True)) == {"1a2b"}


# --- ids of any characters ---------------------------------------------------------------------------------

NAMES = ["7750694562", "7750694562/2", "7750694562/", "a+b=c", "{5F-1}", "#12", "12,5", "x" * 64, "a|b;c", "(1)"]


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.permutations(NAMES[:3], 2)))
def test_an_id_is_everything_up_to_the_next_blank(ours, theirs):
    first, second = sent(ours), sent(theirs, OTHER)
    receipt = delivery_receipts.read(
        frame(text=f"id:{theirs} sub:001 dlvrd:000 stat:UNDELIV err:001".encode(), source_addr="51911111111")
    )
    assert receipt.provider_id == theirs
    assert delivery_receipts.save(GATEWAY, receipt, at=timezone.now())
    assert (state(first), state(second)) == ("SENT", "UNDELIVERED")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["id:{} sub:001 stat:DELIVRD err:0", "id: {}\tstat:DELIVRD", "ID:{}\r\nstat:DELIVRD"])
def test_an_id_of_any_characters_is_read_as_the_submits_answer_gave_it(settings, name, form):
    def script(peer):
        peer.accept_bind()
        peer.accept(name)
        peer.receipt(form.format(name))
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "DELIVERED")


@pytest.mark.parametrize("text", [b"id: sub:001 dlvrd:001 stat:DELIVRD", b"id:stat:DELIVRD", b"sub:001 stat:DELIVRD"])
def test_an_id_that_is_not_there_is_not_the_next_field(text):
    assert delivery_receipts.read(frame(text=text)).provider_id == ""


@pytest.mark.parametrize("ending", [b"", b"\0"])
def test_the_parameter_wins_over_the_text_with_or_without_its_nul(ending):
    value = b"7750694562/2" + ending
    tail = b"\x00\x1e" + len(value).to_bytes(2) + value
    first, second = sent("7750694562"), sent("7750694562/2")
    receipt = delivery_receipts.read(frame(text=b"id:7750694562 stat:DELIVRD err:000", tail=tail))
    assert delivery_receipts.save(GATEWAY, receipt, at=timezone.now())
    assert (state(first), state(second)) == ("SENT", "DELIVERED")


def test_what_the_receipt_quotes_of_the_message_says_nothing():
    receipt = delivery_receipts.read(frame(text=b"stat:UNDELIV err:001 Text:id:9 stat:DELIVRD err:000"))
    assert (receipt.provider_id, receipt.state, receipt.error) == ("", "UNDELIV", "001")


# --- no id at all ------------------------------------------------------------------------------------------


def test_a_submit_answered_without_an_id_is_matched_by_number_and_time():
    mine, others = sent(""), sent("", OTHER)
    assert receive("a-1", "UNDELIV")
    assert (state(mine), state(others)) == ("UNDELIVERED", "SENT")
    assert Message.objects.get(pk=mine.pk).provider_id == "a-1"
    assert receive("a-1"), "better news for the same id"
    assert (state(mine), state(others)) == ("DELIVERED", "SENT")


def test_of_several_without_an_id_the_latest_is_meant_and_each_receipt_settles_one():
    first, second = sent(""), sent("")
    assert receive("a-2")
    assert not receive("a-2")
    assert (state(first), state(second)) == ("SENT", "DELIVERED")
    assert receive("a-1", "UNDELIV")
    assert (state(first), state(second)) == ("UNDELIVERED", "DELIVERED")


def test_without_an_id_a_receipt_may_have_none_either():
    message = sent("")
    assert receive("")
    assert state(message) == "DELIVERED"


@pytest.mark.parametrize("number", ["AVAL", OTHER, ""])
def test_without_an_id_only_the_named_number_counts(number):
    message = sent("")
    assert not receive("a-1", number=number)
    assert state(message) == "SENT"


def test_without_an_id_what_is_older_than_any_receipt_is_not_meant():
    message = sent("")
    Message.objects.update(created_at=timezone.now() - timedelta(days=4))
    long_ago(message, days=4)
    assert not receive("a-1")
    assert state(message) == "SENT"


def test_a_message_with_an_id_is_never_found_by_its_number():
    message = sent("77")
    assert not receive("78")
    assert state(message) == "SENT"


def test_an_early_receipt_counts_for_a_submit_answered_without_an_id():
    mine, others = handed_over(), handed_over(OTHER)
    assert not receive("a-1")
    assert state(taken(others, "")) == "SENT"
    assert state(taken(mine, "")) == "DELIVERED"
    assert state(sent("")) == "SENT", "one receipt never settles two messages"


def test_a_receipt_waits_while_another_message_to_its_number_is_being_handed_over():
    unclear = sent("")
    on_its_way = handed_over()
    assert not receive("77")
    assert state(taken(on_its_way, "77")) == "DELIVERED"
    assert state(unclear) == "SENT"


def test_what_was_never_answered_is_known_by_its_receipt(settings):
    """UNKNOWN, with a fallback that must not send the code again."""
    gateway_queue = GatewayQueue(gateway_at(2775, settings))
    for early in (True, False):
        message = handed_over()
        if early:
            receive(f"a-{early}")
        gateway_queue.add_answer(message, OutcomeUnknown("smpp: sin respuesta en 10 s"))
        gateway_queue.record()
        if not early:
            assert state(message) == "UNKNOWN"
            receive(f"a-{early}")
        assert state(message) == "DELIVERED"


@pytest.mark.parametrize("body", [b"", b"\0", b"\x01\x02\0", b" \0", b"\xff\0", "ídé".encode() + b"\0"])
def test_an_answer_whose_id_cannot_be_read_is_taken_and_its_receipt_counts(settings, body):
    def script(peer):
        peer.accept_bind()
        submit = peer.read("submit_sm")
        peer.raw((16 + len(body)).to_bytes(4) + 0x80000004.to_bytes(4) + bytes(4) + submit.sequence.to_bytes(4) + body)
        peer.receipt("id:4f2a sub:001 dlvrd:001 stat:DELIVRD err:000")
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        serve(gateway, lambda: state(message) == "DELIVERED")
    assert list(MessageEvent.objects.filter(message=message, state="SENDING").values_list("attempt", flat=True)) == [1]


def test_no_provider_but_an_smsc_is_matched_by_number():
    message = handed_over(provider=FakeGateway("twilio:S:+1202"))
    send.record_taken([(message, Receipt(str(message.pk), "queued"))], at=timezone.now())
    report = receipts.Report("twilio", "SM1", "DELIVERED", recipients=frozenset({NUMBER}))
    assert not receipts.receive(report, at=timezone.now())
    assert state(message) == "SENT"
