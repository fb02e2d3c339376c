"""What a webhook refuses."""


class NotSigned(Exception):
    """The report does not bear the signature of a provider of ours."""


class NotReadable(Exception):
    """The report is signed and makes no sense."""
