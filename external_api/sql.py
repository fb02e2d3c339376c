"""Hand-written statements of `external_api`. A test runs each through EXPLAIN (tests/test_sql.py)."""

NEXT_REQUEST_ID = "SELECT nextval('external_api_apirequest_id_seq')"

_REQUEST_COLUMNS = """
    contract, partner_id, "user", subject, action, status, code, successes, failures, address, duration_ms, created_at
"""
_REQUEST_VALUES = """
    %(request_contract)s, %(request_partner_id)s, %(request_user)s, %(request_subject)s, %(request_action)s,
    %(request_status)s, %(request_code)s, %(request_successes)s, %(request_failures)s, %(request_address)s,
    %(request_duration_ms)s, %(request_created_at)s
"""
INSERT_REQUEST = f"""
    INSERT INTO external_api_apirequest ({_REQUEST_COLUMNS}) SELECT {_REQUEST_VALUES}
"""
"""A statement that writes the row together with what the request changes goes on with FROM or RETURNING."""
INSERT_REQUEST_WITH_ID = f"""
    INSERT INTO external_api_apirequest (id, {_REQUEST_COLUMNS}) VALUES (%(request_id)s, {_REQUEST_VALUES})
"""  # noqa: S608  as above
"""Row of the request log whose id was needed before."""
