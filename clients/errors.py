"""Errors of the domain: exceptions that carry data and know nothing of HTTP.

Each contract maps them to its own status, code and text in one table.
"""


class Refused(Exception):
    """Base class of all domain errors. What was counted before one is raised stays counted."""


class CredentialRefused(Refused):
    """Credential that is unknown, malformed, expired or revoked, or of an inactive partner. The caller is not told
    which."""


class CredentialChanged(Refused):
    """Credential that was known from an earlier call, and whose row or partner has changed since. To be authenticated
    again; nothing was done."""


class ContractNotAllowed(Refused):
    """Valid credential of a partner that may not use this contract."""


class ApplicantNotFound(Refused):
    """Applicant that does not exist, or belongs to another partner."""


class ApplicantAlreadyValidated(Refused):
    """Applicant that has proved a phone or mailbox already."""


class ApplicantLocked(Refused):
    """Applicant after 100 wrong codes in a row (NIST SP 800-63B, 5.2.2). Staff must unlock them."""
