"""Parts of the statements of codes that write partner events (`clients.events`)."""

from clients.events import sql as events
from tokens import reasons

_TYPE_OF_END = """CASE code.outcome
    WHEN 'FALLIDO' THEN 'verification.failed' WHEN 'NO_ENVIADO' THEN 'verification.failed'
    WHEN 'CANCELADO' THEN 'verification.cancelled' WHEN 'REEMPLAZADO' THEN 'verification.cancelled'
    ELSE 'verification.expired' END"""

RETURNING = "id, applicant_id, via, destination, outcome"
"""What the UPDATE of codes returns under the name `ended`."""


def of_accepted() -> str:
    """INSERT of the event of an accepted code: `accepted` are columns of the code, `proved` of its applicant."""
    return events.insert(
        f"""
        SELECT proved.partner_id, 'verification.verified', accepted.id::text, %(at)s, jsonb_build_object(
            'client_id', proved.id, 'via', accepted.via, 'to', {events.masked("accepted.via", "accepted.destination")}
        ) FROM accepted JOIN proved ON proved.id = accepted.applicant_id WHERE proved.partner_id IS NOT NULL
    """  # noqa: S608  this module's constants, here and below
    )


def of_ended(condition: str = "true") -> str:
    """INSERT of an event for each row of `ended` (RETURNING) that meets a condition on `code`."""
    return events.insert(
        f"""
        SELECT applicant.partner_id, {_TYPE_OF_END}, code.id::text, %(at)s, jsonb_build_object(
            'client_id', applicant.id, 'via', code.via, 'to', {events.masked("code.via", "code.destination")},
            'outcome', code.outcome, 'reason', {reasons.of_ended("code.outcome", "code.id")}
        ) FROM ended AS code JOIN clients_applicant AS applicant ON applicant.id = code.applicant_id
        WHERE applicant.partner_id IS NOT NULL AND {condition}
    """  # noqa: S608  as above
    )
