"""Changes of SECRET_KEY in the settings of a test, with all keys that are derived from it."""

from typing import Any

from config.keys import SEALED, derived_keys, jwt_keys

OLD = "the-former-secret-of-these-tests-of-more-than-32-characters"
NEW = "the-next-secret-of-these-tests-of-more-than-32-characters"


def use_secrets(settings: Any, *secrets: str) -> None:
    """SECRET_KEY, and the further ones that are accepted."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secrets[0], list(secrets[1:])
    settings.CODE_KEYS = derived_keys("code-hmac", *secrets)
    settings.SEAL_KEYS = derived_keys("message-seal", *secrets)
    settings.SEALING_KEYS = {each: derived_keys(each, *secrets) for each in SEALED}
    settings.BACKUP_CODE_KEYS = derived_keys("backup-code", *secrets)
    settings.JWT_KEYS = jwt_keys("", [], *secrets)
