"""Hand-written statements of test twins. A test runs each through EXPLAIN (tests/test_sql.py).

Each finds its rows by an index of the twin's: the tables are those of all partners.
"""

_CODES = "SELECT id FROM tokens_verificationtoken WHERE twin_id = %(twin)s"
_MESSAGES = "SELECT id FROM messaging_message WHERE partner_id = %(twin)s"
_APPLICANTS = "SELECT id FROM clients_applicant WHERE partner_id = %(twin)s"
_LIVE_CLIENTS = "SELECT id FROM clients_authorizedclient WHERE partner_id = %(twin)s AND deauthorized_at IS NULL"
_FORMER_CLIENTS = """
    SELECT id FROM clients_authorizedclient
    WHERE partner_id = %(twin)s AND deauthorized_at IS NOT NULL AND forgotten_at IS NULL
"""
_EXTERNAL_CLIENTS = "SELECT id FROM clients_externalclient WHERE partner_id = %(twin)s"
_OUTBOX = "SELECT id FROM messaging_sandboxmessage WHERE twin_id = %(twin)s"


def _is_full(rows: str) -> str:
    return f"(SELECT count(*) FROM ({rows} LIMIT %(most)s::int) AS held) >= %(most)s::int"  # noqa: S608  constants


IS_FULL = f"""
    SELECT {_is_full(_CODES)} OR {_is_full(_MESSAGES)} OR {_is_full(_APPLICANTS)} OR {_is_full(_LIVE_CLIENTS)}
        OR {_is_full(_FORMER_CLIENTS)} OR {_is_full(_EXTERNAL_CLIENTS)}
"""
"""Whether a twin holds `most` rows of any kind; none is counted further."""

LOCK_APPLICANTS = f"{_APPLICANTS} ORDER BY id FOR NO KEY UPDATE"
LOCK_CODES = f"{_CODES} ORDER BY id FOR NO KEY UPDATE"
LOCK_MESSAGES = f"{_MESSAGES} ORDER BY id FOR NO KEY UPDATE"
"""In this order, as every act on codes locks."""

# --- clock ---

_OF_TWIN, _OF_PARTNER = "twin_id = %(twin)s", "partner_id = %(twin)s"


def _of(column: str, rows: str) -> str:
    return f"{column} = ANY (ARRAY({rows}))"


def _move_back(table: str, where: str, *columns: str, also: str = "") -> str:
    """UPDATE that moves columns back. The first one says how old a row is: one that is very old stays, or a client that
    calls the clock for ever would leave the calendar."""
    changes = ", ".join([*(f"{column} = {column} - %(by)s::interval" for column in columns), *([also] if also else [])])
    return f"UPDATE {table} SET {changes} WHERE {where} AND {columns[0]} > timestamptz '2000-01-01'"  # noqa: S608  constants


MOVE_BACK = {
    "applicants": _move_back("clients_applicant", _OF_PARTNER, "created_at", "updated_at", "validated_at", "locked_at"),
    "codes": _move_back(
        "tokens_verificationtoken", _OF_TWIN, *("created_at", "expires_at", "finished_at", "returned_at", "forget_at")
    ),
    "tries": _move_back("tokens_codetry", _of("token_id", _CODES), "at"),
    "forgiveness": _move_back("tokens_ladderforgiveness", _of("applicant_id", _APPLICANTS), "at"),
    "messages": _move_back(
        "messaging_message",
        _OF_PARTNER,
        *("created_at", "next_attempt_at", "send_before", "kept_until", "sent_at", "delivered_at"),
        also="handed_over_at = CASE WHEN state = 'SENDING' THEN handed_over_at"
        " ELSE handed_over_at - %(by)s::interval END",
    ),
    "events of messages": _move_back("messaging_messageevent", _of("message_id", _MESSAGES), "at"),
    "feedback": _move_back("messaging_recipientfeedback", _of("message_id", _MESSAGES), "at"),
    "suppressions": _move_back(
        "messaging_suppression", _of("message_id", _MESSAGES), "created_at", "last_at", "lifted_at"
    ),
    "outbox": _move_back("messaging_sandboxmessage", _OF_TWIN, "created", "receipt_at"),
    "authorized clients": _move_back(
        "clients_authorizedclient",
        _of("id", f"{_LIVE_CLIENTS} UNION ALL {_FORMER_CLIENTS}"),
        *("created_at", "deauthorized_at", "subscribed_at", "unsubscribed_at"),
    ),
    "external clients": _move_back("clients_externalclient", _OF_PARTNER, "created_at", "updated_at"),
}
"""Moves the business times of a twin's rows back. What a message in SENDING is leased by stays: its worker's clock does
not move."""

# --- reset ---


def _delete(table: str, where: str) -> str:
    return f"DELETE FROM {table} WHERE {where}"  # noqa: S608  constants


EMPTY = {
    "outbox": _delete("messaging_sandboxmessage", _OF_TWIN),
    "suppressions": _delete("messaging_suppression", _of("message_id", _MESSAGES)),
    "feedback": _delete("messaging_recipientfeedback", _of("message_id", _MESSAGES)),
    "receipts": _delete(
        "messaging_providerreceipt",
        "provider = 'pruebas' AND " + _of("provider_id", _MESSAGES.replace("SELECT id", "SELECT id::text")),
    ),
    "events of messages": _delete("messaging_messageevent", _of("message_id", _MESSAGES)),
    "messages": _delete("messaging_message", _OF_PARTNER),
    "tries": _delete("tokens_codetry", _of("token_id", _CODES)),
    "codes": _delete("tokens_verificationtoken", _OF_TWIN),
    "forgiveness": _delete("tokens_ladderforgiveness", _of("applicant_id", _APPLICANTS)),
    "applicants": _delete("clients_applicant", _OF_PARTNER),
    "external clients": _delete("clients_externalclient", _OF_PARTNER),
}
"""Deletes a twin's rows, those that refer to others first."""
CLIENTS = f"{_LIVE_CLIENTS} UNION ALL {_FORMER_CLIENTS}"
"""Authorised clients of a twin, which are blanked, as by retention: no index leads from a client to its messages."""
