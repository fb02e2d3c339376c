"""Client of one installation of Aval."""

import threading
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType

import httpx

from aval_client.errors import MissingCredential
from aval_client.events import Events, OnGone
from aval_client.informaperu import InformaPeru
from aval_client.nopasanada import NoPasaNada
from aval_client.partners import Partners
from aval_client.registry import Registry
from aval_client.retries import Retries
from aval_client.staff import Staff
from aval_client.transport import Clock, Transport
from aval_client.twin import Twin
from aval_client.webhooks import WebhookEndpoints

VERSION = "0.1.0"
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
RETRIES = Retries()


class Aval:
    """The three contracts and the API for partners, each behind a property. Threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        jwt: str | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        export_timeout: float = 300.0,
        retries: Retries = RETRIES,
        http: httpx.Client | None = None,
        clock: Clock = time,
    ) -> None:
        """`token` is the opaque one (contracts 1 and 2, partners), `jwt` the other (contracts 2 and 3, partners).

        `export_timeout` is the longest pause within a list of contract 1. `http` is a client of your own, with your
        proxies or certificates, which you close.
        """
        self._token = token
        self._jwt = jwt
        self._export_timeout = export_timeout
        self._http = http or httpx.Client(headers={"User-Agent": f"aval-client-python/{VERSION}"})
        self._is_ours = http is None
        self._transport = Transport(url, self._http, retries, httpx.Timeout(timeout), clock)

    def __enter__(self) -> "Aval":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._is_ours:
            self._http.close()

    @property
    def nopasanada(self) -> NoPasaNada:
        """Contract 1."""
        return NoPasaNada(self._transport, _given(self._token, "token"), self._export_timeout)

    @property
    def informaperu(self) -> InformaPeru:
        """Contract 2."""
        return InformaPeru(self._transport, self._token or self._jwt)

    @property
    def registry(self) -> Registry:
        """Contract 3."""
        return Registry(self._transport, _given(self._jwt, "jwt"))

    @property
    def partners(self) -> Partners:
        """API for partners: what the partner is and what became of its codes and messages."""
        return Partners(self._transport, self._either())

    @property
    def webhooks(self) -> WebhookEndpoints:
        """API for partners: endpoints of webhooks."""
        return WebhookEndpoints(self._transport, self._either())

    @property
    def twin(self) -> Twin:
        """API for partners: the test twin."""
        return Twin(self._transport, self._either())

    def staff(self, token: str) -> Staff:
        """Queries of contract 2 for staff, with the token of `informaperu.login`."""
        return Staff(self._transport, token)

    def events(
        self,
        after: str | None = None,
        *,
        types: Sequence[str] | None = None,
        limit: int = 1000,
        follow: bool = True,
        on_gone: OnGone = "raise",
        stop: threading.Event | None = None,
    ) -> Events:
        """Events after a cursor, or all that are kept; the iterator waits for news unless `follow` is False.

        `on_gone="oldest"` continues with the oldest event where the cursor is gone, instead of raising CursorGone.
        `stop` ends the iterator from another thread.
        """
        partners = self.partners
        read = partial(partners.feed_page, types=types, limit=limit)
        return Events(read, self._transport.clock.sleep, after=after, follow=follow, on_gone=on_gone, stop=stop)

    def _either(self) -> str:
        return _given(self._token or self._jwt, "token or jwt")


def _given(credential: str | None, name: str) -> str:
    if credential is None:
        raise MissingCredential(f"Aval(url, {name}=...) is needed for this call")
    return credential
