"""Contract 1: authorised clients in and out, and what was sent to them."""

from collections.abc import Sequence
from typing import Any, cast

from aval_client.rows import Rows
from aval_client.shapes.nopasanada import Address, AuthorisedClient, NewClient, RowsAnswer, SentMessage
from aval_client.transport import Call, Transport, new_key

PATH = "/api/v1"


class NoPasaNada:
    """`POST /api/v1`, with the opaque token.

    Rows that are refused are results, not exceptions: look at `cuenta_fallos`. At most 10,000 rows a call.
    """

    def __init__(self, transport: Transport, token: str, export_timeout: float) -> None:
        self._transport = transport
        self._token = token
        self._export_timeout = export_timeout

    def alta(self, usuario: str, clientes: Sequence[NewClient], *, idempotency_key: str | None = None) -> RowsAnswer:
        """Authorise clients."""
        return self._change("alta", usuario, clientes, idempotency_key)

    def baja(self, usuario: str, clientes: Sequence[Address], *, idempotency_key: str | None = None) -> RowsAnswer:
        """Remove clients. Nothing more is sent to them."""
        return self._change("baja", usuario, clientes, idempotency_key)

    def clientes_autorizados(self, usuario: str, clientes: Sequence[Address] = ()) -> Rows[AuthorisedClient]:
        """The live list, or those of it with these addresses, row by row."""
        return self._list("clientes_autorizados", usuario, clientes=list(clientes))

    def mensajes_enviados(
        self,
        usuario: str,
        clientes: Sequence[Address] = (),
        *,
        fecha_desde: str | None = None,
        fecha_hasta: str | None = None,
    ) -> Rows[SentMessage]:
        """Bulletins and alerts that a provider answered, row by row. Days are those of Lima, `YYYY-MM-DD`."""
        return self._list(
            "mensajes_enviados", usuario, clientes=list(clientes), fecha_desde=fecha_desde, fecha_hasta=fecha_hasta
        )

    def _change(self, action: str, usuario: str, clientes: Sequence[Any], key: str | None) -> RowsAnswer:
        body = {"solicitud": action, "usuario": usuario, "clientes": list(clientes)}
        call = Call("POST", PATH, self._token, body, idempotency_key=key or new_key(), is_result=_has_row_results)
        return cast(RowsAnswer, self._transport.json(call))

    def _list(self, action: str, usuario: str, **filters: Any) -> Rows[Any]:
        body = {"solicitud": action, "usuario": usuario, **filters}
        call = Call("POST", PATH, self._token, body, is_safe=True)
        return Rows(self._transport.open(call, read_timeout=self._export_timeout))


def _has_row_results(body: Any) -> bool:
    """Whether a 400 is that of rows of which none went well, in the shape of 200."""
    results = body.get("resultados") if isinstance(body, dict) else None
    return isinstance(results, dict) and "cuenta_fallos" in results
