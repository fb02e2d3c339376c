"""PDUs: the requests and answers we send, built with smpplib, and identifiers read from what arrives."""

from typing import Any

from smpplib import consts, smpp
from smpplib.command import Param
from smpplib.command_codes import get_command_code

from clients.identity.phones import to_e164
from messaging.gateways.base import Outgoing
from messaging.gateways.smpp import MAX_LONG_PASSWORD, Account
from messaging.smpp.connection import Frame
from messaging.smpp.encoding import encoded

RESPONSE = 0x80000000
"""The bit of command_id that is set in responses."""
SUBMIT_RESP = get_command_code("submit_sm_resp")
GENERIC_NACK = get_command_code("generic_nack")
ENQUIRE_LINK = get_command_code("enquire_link")
DELIVER_SM = get_command_code("deliver_sm")
DATA_SM = get_command_code("data_sm")
UNBIND = get_command_code("unbind")
UNBIND_RESP = get_command_code("unbind_resp")
ALERT_NOTIFICATION = get_command_code("alert_notification")

OK: int = consts.SMPP_ESME_ROK
RETRY_LATER: int = consts.SMPP_ESME_RX_T_APPN
"""Status that answers a receipt we could not store: the SMSC keeps it and sends it again."""
MAX_ID_LENGTH = 200
UNKNOWN_COMMAND: int = consts.SMPP_ESME_RINVCMDID

_PASSWORD = Param(type=str, max=MAX_LONG_PASSWORD + 1)
_ANSWERS = {DELIVER_SM: "deliver_sm_resp", DATA_SM: "data_sm_resp", UNBIND: "unbind_resp"}


def pdu(command: str, sequence: int, status: int = OK, **fields: Any) -> bytes:
    """One PDU, encoded."""
    octets: bytes = _build(command, sequence, status, **fields).generate()
    return octets


def _build(command: str, sequence: int, status: int, **fields: Any) -> Any:
    built = smpp.make_pdu(command, sequence=sequence, status=status, **fields)
    built.sequence = sequence
    return built


def bind(account: Account, sequence: int) -> bytes:
    built = _build(
        f"bind_{account.bind}",
        sequence,
        OK,
        system_id=account.system_id,
        password=account.password,
        system_type=account.system_type,
    )
    built.params = {**built.params, "password": _PASSWORD}  # smpplib cuts it off at 8
    octets: bytes = built.generate()
    return octets


def submit(account: Account, sequence: int, message: Outgoing, secret: str | None, *, validity: str) -> bytes:
    """A submit_sm that asks for a receipt. Raises ValueError, without the number, where the recipient is no mobile."""
    return _submit(account, sequence, message.recipient, validity, **encoded(message.text_with(secret)).fields())


def submit_part(
    account: Account, sequence: int, recipient: str, part: bytes, *, data_coding: int, is_last: bool, validity: str
) -> bytes:
    """A submit_sm for one part of a text, with its header. Only the last part asks for a receipt, for the message."""
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
    """The response to a request; a generic_nack where its command is not known."""
    if frame.command == ENQUIRE_LINK:
        return pdu("enquire_link_resp", frame.sequence)
    command = _ANSWERS.get(frame.command)
    if command is None:
        return pdu("generic_nack", frame.sequence, UNKNOWN_COMMAND)
    return pdu(command, frame.sequence, status)


def message_id(frame: Frame) -> str:
    """The SMSC's id for a message, from a submit_sm_resp; empty where it gave none. Some SMSCs omit the last NUL."""
    return printable(frame.body.partition(b"\0")[0])


def printable(octets: bytes) -> str:
    """An identifier of the SMSC: printable ASCII, cut to MAX_ID_LENGTH (the protocol allows 64 characters).

    Empty where it is not ASCII: a partial id might be that of another message.
    """
    text = octets.decode("ascii") if octets.isascii() else ""
    return "".join(character for character in text if character.isprintable())[:MAX_ID_LENGTH].strip()
