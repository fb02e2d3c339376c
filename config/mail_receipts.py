"""Settings of mail services' receipts: the password of their webhooks and the keys of those that sign."""

from collections.abc import Callable, Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured

SIGNING_KEYS: Mapping[str, str] = {
    "mailgun": "MAILGUN_WEBHOOK_SIGNING_KEY",
    "mailersend": "MAILERSEND_SIGNING_SECRET",
    "mandrill": "MANDRILL_WEBHOOK_KEY",
}
"""Mail services that sign their receipts -> setting of django-anymail with the key."""
PASSWORD = "WEBHOOK_SECRET"  # noqa: S105  the name of a setting
ANYMAIL_KEYS = (PASSWORD, *SIGNING_KEYS.values())


def anymail_settings(read: Callable[[str, str], str], urls: Sequence[str]) -> dict[str, str]:
    """Settings of django-anymail from the environment; blank ones are left out. `urls` are those of EMAIL_URL.

    Raises ImproperlyConfigured.
    """
    found = {key: value for key in ANYMAIL_KEYS if (value := read(f"ANYMAIL_{key}", "").strip())}
    for key, value in found.items():
        if not value.isascii() or not value.isprintable():
            raise ImproperlyConfigured(f"ANYMAIL_{key} must be printable ASCII.")
    if PASSWORD not in found:
        return found
    if not all(part.strip() for part in found[PASSWORD].partition(":")):
        raise ImproperlyConfigured(f"ANYMAIL_{PASSWORD} must look like user:password.")
    for service, key in SIGNING_KEYS.items():
        if key not in found and any(url.lower().startswith(f"{service}:") for url in urls):
            raise ImproperlyConfigured(
                f"EMAIL_URL names {service}://, which signs its receipts: set ANYMAIL_{key} to the key that stands"
                f" beside its webhook there, or leave ANYMAIL_{PASSWORD} empty to do without receipts."
            )
    return found
