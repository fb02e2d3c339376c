"""What the domain refuses, as exceptions that carry data and know nothing of HTTP.

Each contract has one table from these to its own status, code and text.
"""


class Refused(Exception):
    """The root of every refusal of the domain; whatever was counted before it was raised stays counted."""


class CredentialRefused(Refused):
    """Unknown, malformed, expired or revoked, or its partner is switched off. The caller is not told which."""


class ContractNotAllowed(Refused):
    """The credential is good, its partner may not use this contract."""


class ApplicantNotFound(Refused):
    """No such applicant, or not one of this partner's."""


class ApplicantAlreadyValidated(Refused):
    """The applicant has proved a phone or mailbox; nothing more is to be asked."""


class ApplicantLocked(Refused):
    """100 wrong codes in a row (NIST SP 800-63B, 5.2.2): staff must lift the lock."""
