"""Session store for the database that stores a keyed hash of the session key, and seals the data.

A session is found under the hash by any key of SECRET_KEY and its fallbacks, and stays in the row where it was found:
processes with another order of keys use it at the same time. Rows of older versions, which hold the key itself, are
never found: those sessions have ended.
"""

import base64
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from clients import sealing
from clients.keyed_hashes import keyed_hashes

PURPOSE = "session-data"


def row_of(key: str) -> str:
    """Primary key of a new session's row: 40 characters (240 bits) of a keyed hash."""
    return rows_of(key)[0]


def rows_of(key: str) -> list[str]:
    """Primary keys under which the session may be, that of the newest key first."""
    hashes = keyed_hashes("aval.session-key", key)
    return [base64.urlsafe_b64encode(bytes.fromhex(each)[:30]).decode() for each in hashes]


class SessionStore(DatabaseStore):
    """Django's database session store, with hashed keys and sealed data."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._found: tuple[str, str] | None = None
        """Session key that was read, and the primary key of its row."""

    def _get_session_from_db(self) -> Any:
        key = self.session_key or ""
        row = self.model.objects.filter(session_key__in=rows_of(key), expire_date__gt=timezone.now()).first()
        if row is None:
            self._session_key = None
        else:
            self._found = key, row.session_key
        return row

    def exists(self, session_key: str) -> bool:
        return bool(self.model.objects.filter(session_key__in=rows_of(session_key)).exists())

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        found, kept_as = self._found or ("", "")
        row.session_key = kept_as if row.session_key == found else row_of(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = self.session_key if session_key is None else session_key
        if key is not None:
            self.model.objects.filter(session_key__in=rows_of(key)).delete()

    def encode(self, session_dict: dict[str, Any]) -> str:
        return sealing.seal(PURPOSE, SessionBase.encode(self, session_dict).encode())

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        try:
            plain = sealing.unseal(PURPOSE, str(session_data)).decode()
        except sealing.CannotUnseal:
            return {}
        return dict(SessionBase.decode(self, plain))
