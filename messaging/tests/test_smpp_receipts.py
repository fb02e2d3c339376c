"""Delivery receipts over SMPP: reading, and finding the message."""

import struct
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from messaging.delivery import receipts, send
from messaging.models import Message, MessageEvent, ProviderReceipt
from messaging.smpp import delivery_receipts
from messaging.smpp.connection import Frame
from messaging.smpp.delivery_receipts import DeliveryReceipt, spellings
from messaging.smpp.pdus import DELIVER_SM
from messaging.tests.queued import queue
from messaging.tests.smpp_frames import GATEWAY, frame
from messaging.tests.smsc import gateway_at, serve, smsc, state, waiting

TEXT = b"id:0a1B sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:%s err:%s text:clave A1B2"
NUMBERS = ("987654321", "AVAL")


@pytest.mark.parametrize(
    ("stat", "err", "state", "detail"),
    [
        (b"DELIVRD", b"000", "DELIVERED", ""),
        (b"delivrd", b"000", "DELIVERED", ""),
        (b"EXPIRED", b"000", "UNDELIVERED", "venció antes de llegar al celular"),
        (b"UNDELIV", b"069", "UNDELIVERED", "el operador no pudo entregarlo (err 069)"),
        (b"REJECTD", b"1", "UNDELIVERED", "el operador lo rechazó (err 1)"),
        (b"DELETED", b"000", "UNDELIVERED", "el SMSC lo borró"),
        (b"UNKNOWN", b"000", "UNDELIVERED", "el operador no sabe qué fue de él"),
        (b"ENROUTE", b"000", "", ""),
        (b"ACCEPTD", b"000", "", ""),
        (b"NONSENSE", b"000", "", ""),
    ],
)
def test_a_receipts_text_says_which_message_and_what_became_of_it(stat, err, state, detail):
    receipt = delivery_receipts.read(frame(text=TEXT % (stat, err)))
    assert (receipt.provider_id, receipt.numbers) == ("0a1B", NUMBERS)
    assert (receipt.report_state, receipt.detail) == (state, detail)


CUT = [word[:7] for word in ("DELIVERED", "UNDELIVERABLE", "UNDELIVERED", "EXPIRED", "REJECTED", "DELETED", "SKIPPED")]


@pytest.mark.parametrize(
    ("written", "state"),
    [
        *((word, "DELIVERED") for word in ("DELIVERED", "DELIVRD", "Delivered", "DELIVER", " DELIVRD ", "2", "002")),
        *(
            (word, "UNDELIVERED")
            for word in (
                "UNDELIVERABLE",
                "UNDELIVERED",
                "UNDELIV",
                "undeliverable",
                "Undelivered",
                "  UNDELIV",
                "UNDELIVERABLE   ",
                "NOT_DELIVERED",
                "NOT DELIVERED",
                "NOT-DELIVERED",
                "NON_DELIVERED",
                "UNDLVRD",
                "EXPIRD",
                "DELIVERY_FAILED",
                "ABORTED",
                "BLOCKED",
                "REJCTD",
                "EXPIRED",
                "expired",
                "REJECTED",
                "REJECTD",
                "Rejected",
                "DELETED",
                "DELETD",
                "CANCELED",
                "FAILED",
                "failed",
                "FAILURE",
                "SKIPPED",
                "ERROR",
                "error",
                "ERR",
                "UNKNOWN",
                "unknown",
                "3",
                "4",
                "5",
                "7",
                "8",
                "9",
            )
        ),
        *((word, "DELIVERED" if word.startswith("DELI") else "UNDELIVERED") for word in CUT),
        *(
            (word, "")
            for word in (
                "ENROUTE",
                "ACCEPTD",
                "ACCEPTED",
                "SCHEDULED",
                "BUFFERED",
                "PENDING",
                "QUEUED",
                "SENT",
                "0",
                "1",
                "6",
                "99",
                "DELIVERY_PENDING",
                "DELIVERING",
                "NOT SENT",
                "EN_ROUTE",
                "DEL",
                "UN",
                "",
            )
        ),
    ],
)
def test_every_final_state_is_recognised_however_it_is_spelled(written, state):
    receipt = delivery_receipts.read(
        frame(text=b"id:77 sub:001 dlvrd:001 stat:" + written.encode() + b" err:000 text:DELIVRD")
    )
    assert receipt.report_state == state
    assert bool(receipt.detail) == (state == "UNDELIVERED")


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (0, ""),
        (1, ""),
        (2, "DELIVERED"),
        (3, "UNDELIVERED"),
        (4, "UNDELIVERED"),
        (5, "UNDELIVERED"),
        (6, ""),
        (7, "UNDELIVERED"),
        (8, "UNDELIVERED"),
        (9, "UNDELIVERED"),
        (10, ""),
        (255, ""),
    ],
)
def test_every_number_of_message_state_is_recognised(number, state):
    assert delivery_receipts.read(frame(receipted_message_id="77", message_state=number)).report_state == state


@pytest.mark.parametrize(
    "text",
    [
        "id:77 sub:001 dlvrd:001 stat:UNDELIV err:069 text:stat:DELIVRD",
        "Id: 77 Sub: 001 Stat: Undeliv Err: 069",
        "id : 77 sub : 001 stat : UNDELIV err : 069",
        "id=77 sub=001 stat=UNDELIV err=069 text=stat=DELIVRD",
        "id:77;sub:001;stat:UNDELIV;err:069",
        "id:77\nstat:UNDELIV\nerr:069",
        "stat:UNDELIV err:069 id:77",
        "sub:001 id:77 state:UNDELIV err:069",
        "\ufeffid:77 status:UNDELIV err:069",
    ],
)
@pytest.mark.parametrize("esm_class", [0, 0x04, 0x24, 0x44, 0x84])
def test_the_fields_of_a_receipt_are_read_in_any_order_and_however_they_are_parted(text, esm_class):
    said = delivery_receipts.read(frame(esm_class=esm_class, text=text.encode()))
    assert (said.provider_id, said.report_state, said.error) == ("77", "UNDELIVERED", "069")


@pytest.mark.parametrize("name", ["77;8", "77,8", "a=b/c==", "a:b", "7.7", "77;", "0x1F"])
def test_an_id_is_everything_up_to_the_next_blank(name):
    assert delivery_receipts.read(frame(text=f"id:{name} sub:001 stat:DELIVRD err:000".encode())).provider_id == name


@pytest.mark.parametrize(
    ("stat", "state"), [("UNDELIV", ""), ("EXPIRED", ""), ("ENROUTE", ""), ("DELIVRD", "DELIVERED")]
)
def test_in_an_intermediate_notification_only_delivered_is_final(stat, state):
    said = delivery_receipts.read(frame(esm_class=0x20, text=f"id:77 stat:{stat} err:000".encode()))
    assert (said.provider_id, said.report_state) == ("77", state)


@pytest.mark.parametrize("coding", [0, 8])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-16"])
@pytest.mark.parametrize("field", ["text", "message_payload"])
def test_a_receipt_in_utf_16_is_read(encoding, coding, field):
    text = "id:0a1B/2 sub:001 dlvrd:001 stat:UNDELIV err:069 text:clave ñandú 日".encode(encoding)
    receipt = delivery_receipts.read(frame(data_coding=coding, **{field: text}))
    assert (receipt.provider_id, receipt.report_state, receipt.error) == ("0a1B/2", "UNDELIVERED", "069")


def test_a_receipt_that_says_utf_16_and_is_ascii_is_read():
    assert delivery_receipts.read(frame(data_coding=8, text=TEXT % (b"DELIVRD", b"000") + b"\0")).provider_id == "0a1B"


def test_a_header_before_the_text_is_passed_over():
    text = b"\x05\x00\x03\x07\x01\x01" + "id:77 stat:DELIVRD err:000".encode("utf-16-be")
    receipt = delivery_receipts.read(frame(esm_class=0x44, text=text))
    assert (receipt.provider_id, receipt.report_state) == ("77", "DELIVERED")


# --- esm_class 0 -------------------------------------------------------------------------------------------

PLAIN = [
    TEXT % (b"DELIVRD", b"000"),
    b"id:0a1B sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:DELIVRD err:000",
    b"ID:0a1B SUB:001 DLVRD:001 Submit Date:260212103000 Done Date:260212103100 Stat:Delivered Err:000 Text:",
    b" id:0a1B stat:DELIVRD err:000",
    (TEXT % (b"DELIVRD", b"000")).decode().encode("utf-16-be"),
]
WRITTEN_BY_PEOPLE = [
    b"",
    b"hola",
    b"mi clave es A1B2",
    b"id:0a1B",
    b"id: 12345678",
    b"stat:DELIVRD",
    b"id:0a1B stat:DELIVRD",
    b"mi id:0a1B sub:001 dlvrd:001 stat:DELIVRD err:000",
    b"id:0a1B stat:bien err:no",
    b"id:0a1B stat: err:000",
    b"id:0a1B sub:001 text:stat:DELIVRD err:000",
    b"Re: id:0a1B sub:001 stat:DELIVRD",
    b"id:0a1B stat:ENROUTE err:000",
    "id:0a1B ñandú".encode("utf-16-be"),
]


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize("esm_class", [0, 0x03, 0x08, 0x80])
def test_a_receipts_whole_text_is_one_whatever_esm_class_says(text, esm_class):
    receipt = delivery_receipts.read(frame(esm_class=esm_class, text=text))
    assert (receipt.provider_id, receipt.report_state, receipt.is_plain) == ("0a1B", "DELIVERED", True)


@pytest.mark.parametrize("text", WRITTEN_BY_PEOPLE)
def test_a_telephones_message_is_no_receipt_even_if_it_resembles_one(text):
    assert delivery_receipts.read(frame(esm_class=0, text=text)) is None


def test_parameters_go_before_the_text_and_are_enough_alone():
    said = delivery_receipts.read(frame(text=TEXT % (b"ENROUTE", b"000"), receipted_message_id="77", message_state=2))
    assert (said.provider_id, said.report_state) == ("77", "DELIVERED")
    alone = delivery_receipts.read(frame(esm_class=0, receipted_message_id="77", message_state=5))
    assert (alone.provider_id, alone.report_state, alone.detail) == (
        "77",
        "UNDELIVERED",
        "el operador no pudo entregarlo",
    )


def test_a_receipt_may_come_as_a_payload_or_as_data_sm():
    text = TEXT % (b"DELIVRD", b"000")
    assert delivery_receipts.read(frame(message_payload=text)).report_state == "DELIVERED"
    assert delivery_receipts.read(frame("data_sm", message_payload=text)).provider_id == "0a1B"


@pytest.mark.parametrize(
    "tail",
    [
        struct.pack(">HHB", 0x1501, 1, 9),  # a vendor's own
        struct.pack(">HHB", 0x0005, 1, 9),  # of another PDU: smpplib stumbles over it
        struct.pack(">HH", 0x0427, 200),  # cut off
    ],
)
def test_parameters_that_cannot_be_read_do_not_cost_the_rest(tail):
    assert delivery_receipts.read(frame(text=TEXT % (b"DELIVRD", b"000"), tail=tail)).report_state == "DELIVERED"


@pytest.mark.parametrize("raw", [b"", b"\xff" * 40, b"\0" * 40, TEXT])
def test_a_body_of_nonsense_breaks_nothing(raw):
    delivery_receipts.read(Frame(DELIVER_SM, 0, 1, struct.pack(">LLLL", 16 + len(raw), 5, 0, 1) + raw))


def test_names_are_the_same_in_decimal_and_hexadecimal_with_and_without_zeros():
    assert {"6699", "1a2b", "1A2B", "0000006699", "00001A2B"} <= spellings("1A2B") & spellings("6699")
    assert spellings("b7c4e0f2-1c50-4d44-8a2d-2d6f4c5d7e01") >= {"b7c4e0f2-1c50-4d44-8a2d-2d6f4c5d7e01"}
    assert {"6699", "1a2b", "0x1a2b", "0x1A2B"} <= spellings("0x1A2B") & spellings("6699") & spellings('"1A2B",')
    assert "255" not in spellings("fg")


# --- how they find their message ---------------------------------------------------------------------------

database = pytest.mark.django_db


@database
@pytest.mark.parametrize(("number", "moves"), [("987654321", True), ("911111111", False), ("AVAL", False)])
def test_a_receipt_not_marked_as_one_counts_only_for_its_number(number, moves):
    message = sent("0a1B")
    receipt = DeliveryReceipt("0a1B", "DELIVRD", "000", (number, "AVAL"), is_plain=True)
    assert delivery_receipts.save(GATEWAY, receipt, at=timezone.now()) == moves
    assert state(message) == ("DELIVERED" if moves else "SENT")


@database
def test_a_receipt_not_marked_as_one_is_not_matched_without_its_id():
    message = queue()
    Message.objects.filter(pk=message.pk).update(
        state="SENT", provider=GATEWAY, provider_id=str(message.pk), handed_over_at=timezone.now(), sealed=None
    )
    receipt = DeliveryReceipt("0a1B", "UNDELIV", "000", NUMBERS, is_plain=True)
    assert not delivery_receipts.save(GATEWAY, receipt, at=timezone.now())
    assert state(message) == "SENT"


@database
def test_undelivered_then_delivered_is_delivered():
    message = sent("77")
    for stat in ("UNDELIV", "DELIVRD", "UNDELIV"):
        delivery_receipts.save(GATEWAY, made_receipt("77", stat), at=timezone.now())
    assert state(message) == "DELIVERED"
    assert Message.objects.get(pk=message.pk).delivered_at is not None


def sent(name, *, recipient="987654321", provider=GATEWAY):
    message = queue(recipient=recipient)
    Message.objects.filter(pk=message.pk).update(
        state="SENT", provider=provider, provider_id=name, handed_over_at=timezone.now(), sealed=None
    )
    return message


def made_receipt(name, state="DELIVRD", numbers=NUMBERS):
    return DeliveryReceipt(name, state, "000", numbers)


@database
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("1A2B", "1A2B"),
        ("1A2B", "6699"),
        ("6699", "1a2b"),
        ("1a2b", "0000006699"),
        ("b7c4e0f2-1c50", "B7C4E0F2-1C50"),
        ("B7C4E0F2-1C50", "b7c4e0f2-1c50"),
    ],
)
def test_a_receipt_finds_its_message_in_any_spelling_of_its_id(ours, theirs):
    message = sent(ours)
    assert delivery_receipts.save(GATEWAY, made_receipt(theirs), at=timezone.now())
    assert state(message) == "DELIVERED"


@database
def test_the_name_as_it_came_goes_before_any_other_spelling():
    hexadecimal, decimal = sent("1a2b"), sent("6699")
    delivery_receipts.save(GATEWAY, made_receipt("6699"), at=timezone.now())
    assert (state(hexadecimal), state(decimal)) == ("SENT", "DELIVERED")


@database
def test_another_spelling_counts_for_the_same_telephone_and_the_same_smsc_only():
    elsewhere, another = sent("1a2b", provider="smpp:other:2775"), sent("1a2b", recipient="911111111")
    assert not delivery_receipts.save(GATEWAY, made_receipt("6699"), at=timezone.now())
    assert (state(elsewhere), state(another)) == ("SENT", "SENT")


@database
def test_an_early_receipt_in_another_spelling_is_applied_when_its_message_is_known():
    message = sent("")
    delivery_receipts.save(GATEWAY, made_receipt("6699", "UNDELIV"), at=timezone.now())
    Message.objects.filter(pk=message.pk).update(provider_id="1a2b")
    delivery_receipts.catch_up(GATEWAY, message.pk, "1a2b", at=timezone.now())
    assert state(message) == "UNDELIVERED"


@database
def test_an_old_receipt_in_another_spelling_is_not_a_new_messages():
    delivery_receipts.save(GATEWAY, made_receipt("6699"), at=timezone.now() - timedelta(hours=1))
    message = sent("1a2b")
    delivery_receipts.catch_up(GATEWAY, message.pk, "1a2b", at=timezone.now())
    assert state(message) == "SENT"


@database
def test_a_state_that_is_not_final_is_not_stored_and_a_repeated_receipt_counts_once():
    message = sent("77")
    assert not delivery_receipts.save(GATEWAY, made_receipt("77", "ENROUTE"), at=timezone.now())
    assert not ProviderReceipt.objects.exists()
    assert delivery_receipts.save(GATEWAY, made_receipt("77"), at=timezone.now())
    assert not delivery_receipts.save(GATEWAY, made_receipt("77"), at=timezone.now())
    assert MessageEvent.objects.filter(message=message).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_receipt_that_could_not_be_stored_is_requested_again(settings, monkeypatch):
    """The SMSC keeps a receipt that we answer with a temporary error."""
    answers, kept = [], receipts.receive

    def fails_once(report, *, at):
        monkeypatch.setattr(receipts, "receive", kept)
        raise OperationalError("terminating connection due to administrator command")

    def script(peer):
        peer.accept_bind()
        peer.accept("abc")
        while not answers or answers[-1] != 0:
            peer.receipt("id:abc stat:DELIVRD err:000")
            answers.append(peer.read("deliver_sm_resp").status)
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        monkeypatch.setattr(receipts, "receive", fails_once)
        serve(gateway, lambda: state(message) == "DELIVERED")
    assert answers == [0x64, 0]


@pytest.mark.django_db(transaction=True)
def test_answers_wait_for_an_unavailable_database_and_nothing_is_claimed_meanwhile(settings, monkeypatch):
    taken, failures = send.record_taken, []

    def fails_twice(answers, *, at):
        if len(failures) < 2:
            failures.append(1)
            raise OperationalError("server closed the connection unexpectedly")
        taken(answers, at=at)

    def script(peer):
        peer.accept_bind()
        peer.accept("abc")
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        message = waiting(gateway)
        monkeypatch.setattr(send, "record_taken", fails_twice)
        serve(gateway, lambda: state(message) == "SENT")
    assert len(failures) == 2
    assert Message.objects.get(pk=message.pk).provider_id == "abc"
