"""Causes of errors, and remedies for a caller, in Spanish. Codes and statuses are in the contracts' own tables."""

from collections.abc import Mapping

from clients import errors as client_errors
from clients.errors import Refused
from clients.events.feed import CursorGone
from clients.twins import MOST_KEYS, MOST_ROWS, TooManyTestKeys, TwinHasNoTwin, TwinIsFull
from external_api.frontdoor import errors
from external_api.informaperu.contract import LoginRefused, StaffForbidden
from external_api.nopasanada import contract as nopasanada
from external_api.partners.contract import NoSuchResource, TestKeyRequired
from tokens import errors as token_errors
from webhooks import errors as webhook_errors

_CAUSES: Mapping[type[Refused], str] = {
    errors.BadRequest: "El cuerpo no es un objeto JSON válido, o una cabecera está mal formada. Corrija la solicitud; "
    "repetirla igual dará lo mismo.",
    errors.InvalidFields: "Uno o más campos faltan o no cumplen su regla. La respuesta nombra cada uno: corríjalos.",
    errors.Unauthorized: "La credencial falta, es desconocida, venció o fue revocada, o su empresa no tiene este "
    "contrato. Revise la cabecera `Authorization`; si es correcta, pida una credencial nueva.",
    errors.NoSuchPath: "La ruta no existe. Revise la URL.",
    errors.WrongMethod: "La ruta existe, pero no con este método. La cabecera `Allow` dice cuáles acepta.",
    errors.TooLarge: "El cuerpo pasa del límite del contrato. Divida el envío en partes.",
    errors.WrongMediaType: "`Content-Type` no es `application/json` en UTF-8. Corrija la cabecera.",
    errors.CompressedBody: "El cuerpo llegó comprimido (`Content-Encoding`). Envíelo sin comprimir.",
    errors.RateLimited: "Se pasó un límite de uso. Espere los segundos de `Retry-After` y repita la solicitud.",
    TwinIsFull: f"La empresa de prueba tiene {MOST_ROWS} filas. Vacíela con `POST /partners/v1/test/reset`.",
    TestKeyRequired: "La ruta es de los datos de prueba, y la credencial es de producción. Use una de prueba.",
    TwinHasNoTwin: "La credencial es de prueba. Emita credenciales de prueba con una de producción.",
    TooManyTestKeys: f"Hay {MOST_KEYS} credenciales de prueba vigentes, o falta poco. Pida que se revoque alguna.",
    errors.InternalFault: "Una falla nuestra, ya registrada. Reintente con espera creciente; si persiste, avísenos.",
    errors.Unavailable: "La base de datos no responde, o ya hay otra consulta larga en curso. Reintente después de los "
    "segundos de `Retry-After`.",
    nopasanada.UserRequired: "`usuario` falta o está en blanco. Envíe el código acordado.",
    nopasanada.WrongAction: "`solicitud` falta o no es una de las cuatro. Revise cómo está escrita.",
    nopasanada.ClientsRequired: "`clientes` falta, está vacío o no es un array.",
    nopasanada.TooManyClients: f"`clientes` tiene más de {nopasanada.MAX_ROWS} filas. Divida el envío.",
    nopasanada.WrongDate: "Una fecha no es AAAA-MM-DD, no existe, o `fecha_desde` es posterior a `fecha_hasta`.",
    NoSuchResource: "El id no existe, no es un UUID, o es de otra empresa.",
    CursorGone: "Se borraron eventos que siguen a este cursor (se guardan 30 días), o la base de datos se restauró. "
    "Continúe con el cursor `oldest` de la respuesta, y espere repetidos.",
    webhook_errors.TooManyEndpoints: "Su empresa tiene ya todos los webhooks que puede tener. Borre uno que no use.",
    webhook_errors.UntriedTest: "La prueba anterior de este webhook aún no se envió. Espere unos segundos.",
    LoginRefused: "Usuario o contraseña incorrectos, o la persona no es del personal.",
    StaffForbidden: "La cuenta no puede usar la mesa de soporte ni ver estas filas. Pida el permiso.",
    client_errors.ApplicantNotFound: "El id no existe, no es un UUID, o el cliente es de otra empresa.",
    client_errors.ApplicantAlreadyValidated: "El cliente ya completó su validación: no hay nada más que hacer.",
    client_errors.ApplicantLocked: "El cliente falló 100 códigos seguidos. Solo nuestro personal puede desbloquearlo.",
    token_errors.CooldownActive: "Todavía corre la espera obligatoria. Muestre al cliente cuánto falta (`data`) y no "
    "reintente antes: no acorta la espera.",
    token_errors.WrongCode: "El código no coincide. Pida al cliente que lo revise; `data.attempts_remaining` dice "
    "cuántos intentos le quedan.",
    token_errors.TriesUsedUp: "Fue el último código errado que se permite. Hay que pedir un token nuevo, cuando la "
    "espera lo permita.",
    token_errors.TokenExpired: "Pasaron los 150 segundos. Hay que pedir un token nuevo.",
    token_errors.NoPendingToken: "El último token ya se usó, se canceló o se agotó, o nunca se pidió. Pida uno.",
    token_errors.TokenStillActive: "Al token le quedan más de 5 segundos. Espere a que termine su tiempo.",
    token_errors.ViaNotAvailable: "Esta instalación no ofrece la vía pedida. Use otra.",
}
_STILL_RUNNING = "La primera solicitud con esta Idempotency-Key sigue en curso. Repítala en unos segundos."
_OTHER_BODY = "La Idempotency-Key ya se usó con otra solicitud. Use una clave nueva para cada operación."


def cause_of(error: Refused) -> str:
    if isinstance(error, errors.IdempotencyConflict):
        return _STILL_RUNNING if error.running else _OTHER_BODY
    return _CAUSES[type(error)]
