"""PDUs that we send, through smpplib, and reading of those that come."""

from typing import Any

from smpplib import consts, smpp
from smpplib.command import Param
from smpplib.command_codes import get_command_code

from clients.identity.phones import to_e164
from messaging.gateways.base import Outgoing
from messaging.gateways.smpp import LONG_PASSWORD, Account
from messaging.smpp.connection import Frame
from messaging.smpp.encoding import encoded

RESPONSE = 0x80000000
"""Bit that marks a response."""
SUBMIT_RESP = get_command_code("submit_sm_resp")
GENERIC_NACK = get_command_code("generic_nack")
ENQUIRE_LINK = get_command_code("enquire_link")
DELIVER_SM = get_command_code("deliver_sm")
DATA_SM = get_command_code("data_sm")
UNBIND = get_command_code("unbind")
UNBIND_RESP = get_command_code("unbind_resp")
ALERT_NOTIFICATION = get_command_code("alert_notification")

OK: int = consts.SMPP_ESME_ROK
LATER: int = consts.SMPP_ESME_RX_T_APPN
"""Status for a receipt that could not be stored: the SMSC keeps it and repeats it."""
LONGEST_ID = 200
UNKNOWN_COMMAND: int = consts.SMPP_ESME_RINVCMDID

_PASSWORD = Param(type=str, max=LONG_PASSWORD + 1)
_ANSWERS = {DELIVER_SM: "deliver_sm_resp", DATA_SM: "data_sm_resp", UNBIND: "unbind_resp"}


def pdu(command: str, sequence: int, status: int = OK, **fields: Any) -> bytes:
    """PDU as octets."""
    octets: bytes = _made(command, sequence, status, **fields).generate()
    return octets


def _made(command: str, sequence: int, status: int, **fields: Any) -> Any:
    made = smpp.make_pdu(command, sequence=sequence, status=status, **fields)
    made.sequence = sequence
    return made


def bind(account: Account, sequence: int) -> bytes:
    made = _made(
        f"bind_{account.bind}",
        sequence,
        OK,
        system_id=account.system_id,
        password=account.password,
        system_type=account.system_type,
    )
    made.params = {**made.params, "password": _PASSWORD}  # smpplib cuts it off at 8
    octets: bytes = made.generate()
    return octets


def submit(account: Account, sequence: int, message: Outgoing, secret: str | None, *, validity: str) -> bytes:
    """submit_sm that asks for a receipt. Raises ValueError, without the number: the recipient is no mobile."""
    return _submit(account, sequence, message.recipient, validity, **encoded(message.text_with(secret)).fields())


def submit_part(
    account: Account, sequence: int, recipient: str, part: bytes, *, data_coding: int, is_last: bool, validity: str
) -> bytes:
    """Part of a text with its header. The last one asks for the receipt, which is the message's."""
    return _submit(
        account,
        sequence,
        recipient,
        validity,
        wants_receipt=is_last,
        esm_class=consts.SMPP_GSMFEAT_UDHI,
        data_coding=data_coding,
        short_message=part,
    )


def _submit(
    account: Account, sequence: int, recipient: str, validity: str, *, wants_receipt: bool = True, **text: Any
) -> bytes:
    return pdu(
        "submit_sm",
        sequence,
        source_addr_ton=account.source_ton,
        source_addr_npi=account.source_npi,
        source_addr=account.sender,
        dest_addr_ton=consts.SMPP_TON_INTL,
        dest_addr_npi=consts.SMPP_NPI_ISDN,
        destination_addr=to_e164(recipient).lstrip("+"),
        validity_period=validity,
        registered_delivery=consts.SMPP_SMSC_DELIVERY_RECEIPT_BOTH if wants_receipt else 0,
        **text,
    )


def answer(frame: Frame, status: int = OK) -> bytes:
    """Response to a request; to an unknown one, that it is unknown."""
    if frame.command == ENQUIRE_LINK:
        return pdu("enquire_link_resp", frame.sequence)
    command = _ANSWERS.get(frame.command)
    if command is None:
        return pdu("generic_nack", frame.sequence, UNKNOWN_COMMAND)
    return pdu(command, frame.sequence, status)


def message_id(frame: Frame) -> str:
    """SMSC's id for a message, in a submit_sm_resp; empty if it gave none. Some leave out the last NUL."""
    return printable(frame.body.partition(b"\0")[0])


def printable(octets: bytes) -> str:
    """Identifier of the SMSC: ASCII, without characters that could break a line, as long as we store one (the protocol
    has 64). Empty if it is not ASCII: half an id might be another message's."""
    text = octets.decode("ascii") if octets.isascii() else ""
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST_ID].strip()
