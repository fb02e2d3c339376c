"""PDUs of an SMSC with a delivery receipt."""

import struct

from messaging.smpp.connection import Frame
from messaging.smpp.pdus import DATA_SM, DELIVER_SM, pdu

GATEWAY = "smpp:127.0.0.1:2775"


def frame(command="deliver_sm", *, text=b"", tail=b"", **fields):
    fields = {"esm_class": 4, "source_addr": "51987654321", "destination_addr": "AVAL", **fields}
    raw = pdu(command, 1, short_message=text, **fields) + tail
    raw = struct.pack(">L", len(raw)) + raw[4:]
    return Frame(DELIVER_SM if command == "deliver_sm" else DATA_SM, 0, 1, raw)
