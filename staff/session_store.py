"""Session store for the database that stores a keyed hash of the session key, and seals the data.

Rows of older versions, which hold the key itself, are never found: those sessions have ended.
"""

import base64
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone
from django.utils.crypto import salted_hmac

from clients import sealing

PURPOSE = "session-data"


def row_of(key: str) -> str:
    """Primary key of a session's row: 40 characters (240 bits) of a keyed hash."""
    digest = salted_hmac("aval.session-key", key, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:30]).decode()


class SessionStore(DatabaseStore):
    """Django's database session store, with hashed keys and sealed data."""

    def _get_session_from_db(self) -> Any:
        of_key = self.model.objects.filter(session_key=row_of(self.session_key or ""))
        row = of_key.filter(expire_date__gt=timezone.now()).first()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return bool(self.model.objects.filter(session_key=row_of(session_key)).exists())

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        row.session_key = row_of(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = self.session_key if session_key is None else session_key
        if key is not None:
            self.model.objects.filter(session_key=row_of(key)).delete()

    def encode(self, session_dict: dict[str, Any]) -> str:
        return sealing.seal(PURPOSE, SessionBase.encode(self, session_dict).encode())

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        try:
            plain = sealing.unseal(PURPOSE, str(session_data)).decode()
        except sealing.CannotUnseal:
            return {}
        return dict(SessionBase.decode(self, plain))
