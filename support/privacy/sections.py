"""Sections of the export of a person, and how the rows of each are found."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from clients.events.models import PartnerEvent
from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient
from external_api.models import ApiRequest
from messaging.models import Message, MessageEvent, ProviderReceipt, RecipientFeedback, Suppression
from subscription.models import ConsentRecord, SubscriptionRequest
from support.privacy.erasure import Dossier, feedback_of, suppressions_of
from support.privacy.section import Section
from support.privacy.spanish_keys import EXTERNAL_CLIENT_KEYS, SUPPRESSION_KEYS
from tokens.models import CodeTry, LadderForgiveness, VerificationToken

IDS_PER_QUERY = 500
"""Ids of one query; a person with more needs several."""


def _in_pieces(rows: QuerySet[Any], field: str, ids: Sequence[Any], *order: str) -> Iterator[Any]:
    """Rows by many ids, in as many queries as needed."""
    for start in range(0, len(ids), IDS_PER_QUERY):
        found = rows.filter(**{f"{field}__in": ids[start : start + IDS_PER_QUERY]}).order_by(*order)
        yield from found.iterator(chunk_size=IDS_PER_QUERY)


def _audit(person: Dossier, *, of_registry: bool) -> Iterator[AuditEntry]:
    for kind, key in person.audited:
        about = Q(object_type=kind, object_id=key)
        in_registry = Q(action__startswith="external_client.")
        entries = AuditEntry.objects.filter(about, in_registry if of_registry else ~in_registry)
        yield from entries.order_by("at", "pk").iterator(chunk_size=IDS_PER_QUERY)


def _messages(person: Dossier) -> Iterator[Message]:
    rows = Message.objects.select_related("partner", "campaign").defer("sealed", "html")
    return _in_pieces(rows, "pk", person.message_ids(), "created_at", "pk")


def _receipts(person: Dossier) -> Iterator[ProviderReceipt]:
    names = [each.provider_id for each in _messages(person) if each.provider_id]
    return _in_pieces(ProviderReceipt.objects.all(), "provider_id", names, "at", "pk")


def _requests(person: Dossier) -> Iterator[ApiRequest]:
    rows = ApiRequest.objects.select_related("partner")
    yield from _in_pieces(rows, "subject", person.subjects, "pk")
    yield from _in_pieces(rows, "pk", sorted({row.request_id for row in person.authorized}), "pk")


def _events(person: Dossier) -> Iterator[PartnerEvent]:
    rows = PartnerEvent.objects.select_related("partner")
    for some in person.event_subjects().pieces(IDS_PER_QUERY):
        yield from rows.filter(some).order_by("at", "pk").iterator(chunk_size=IDS_PER_QUERY)


def _consents(person: Dossier) -> Iterator[ConsentRecord]:
    rows = ConsentRecord.objects.select_related("authorized_client__partner")
    return _in_pieces(rows, "authorized_client", [row.pk for row in person.authorized], "at", "pk")


def _of_applicants(rows: QuerySet[Any], *order: str) -> Callable[[Dossier], Iterator[Any]]:
    return lambda person: _in_pieces(rows, "applicant", [row.pk for row in person.applicants], *order)


SECTIONS = (
    Section(
        "registros",
        "Sus registros para validar un celular o correo (InformaPerú) y lo que validó.",
        Applicant,
        lambda person: iter(person.applicants),
        {
            "id": "id",
            "partner": "empresa",
            "document_type": "tipo_de_documento",
            "document_number": "documento",
            "check_character": "digito_verificador",
            "names": "nombres",
            "paternal_surname": "apellido_paterno",
            "maternal_surname": "apellido_materno",
            "email": "correo",
            "department": "departamento",
            "province": "provincia",
            "district": "distrito",
            "ubigeo": "ubigeo",
            "state": "estado",
            "proved_via": "via_validada",
            "proved_destination": "celular_o_correo_validado",
            "proved_operator": "operador",
            "validated_at": "validado_el",
            "wrong_codes_in_a_row": "codigos_errados_seguidos",
            "locked_at": "bloqueado_el",
            "created_at": "registrado_el",
            "updated_at": "actualizado_el",
        },
    ),
    Section(
        "autorizaciones",
        "Empresas que pidieron enviarle boletines y alertas (NoPasaNadaPE), y si se suscribió.",
        AuthorizedClient,
        lambda person: iter(person.authorized),
        {
            "id": "id",
            "partner": "empresa",
            "email": "correo",
            "name": "nombre",
            "document_type": "tipo_de_documento",
            "document_number": "documento",
            "phone": "celular",
            "external_code": "codigo_en_la_empresa",
            "profile": "perfil",
            "request_id": "numero_de_solicitud",
            "created_at": "autorizado_el",
            "deauthorized_at": "dado_de_baja_el",
            "subscribed_at": "suscrito_el",
            "unsubscribed_at": "se_desuscribio_el",
        },
    ),
    Section(
        "registro_externo",
        "Lo que una empresa guarda de usted en el registro externo.",
        ExternalClient,
        lambda person: iter(person.external),
        EXTERNAL_CLIENT_KEYS,
    ),
    Section(
        "historia_del_registro_externo",
        "Quién cambió esos datos, cuándo, y qué decían antes y después.",
        AuditEntry,
        lambda person: _audit(person, of_registry=True),
        {"at": "fecha", "actor": "quien", "action": "que", "object_id": "registro", "data": "cambios"},
    ),
    Section(
        "codigos",
        "Los códigos que se pidieron para usted: a dónde fueron, cuándo y en qué terminaron.",
        VerificationToken,
        _of_applicants(VerificationToken.objects.all(), "created_at", "pk"),
        {
            "id": "id",
            "applicant_id": "registro",
            "via": "via",
            "destination": "destino",
            "operator": "operador",
            "created_at": "pedido_el",
            "expires_at": "vencia_el",
            "outcome": "resultado",
            "finished_at": "cerrado_el",
            "wrong_tries": "intentos_errados",
            "returned_at": "pedido_devuelto_el",
            "client_attempt": "pedido_numero",
            "client_wait": "espera_hasta_el_siguiente",
            "destination_attempt": "pedido_numero_a_ese_destino",
            "destination_wait": "espera_para_ese_destino",
        },
    ),
    Section(
        "intentos",
        "Los códigos que se ingresaron y no valieron. Lo ingresado no se guarda.",
        CodeTry,
        lambda person: _in_pieces(CodeTry.objects.all(), "token", person.token_ids(), "at", "pk"),
        {"token_id": "codigo", "at": "fecha", "result": "resultado"},
    ),
    Section(
        "perdones_de_espera",
        "Las veces que el personal le quitó la espera entre códigos.",
        LadderForgiveness,
        _of_applicants(LadderForgiveness.objects.all(), "at", "pk"),
        {
            "applicant_id": "registro",
            "via": "via",
            "destination": "destino",
            "at": "fecha",
            "by": "quien",
            "reason": "motivo",
        },
    ),
    Section(
        "mensajes",
        "Los mensajes que se le enviaron; el código va tapado, como se guarda.",
        Message,
        _messages,
        {
            "id": "id",
            "partner": "empresa",
            "kind": "tipo",
            "via": "via",
            "recipient": "destino",
            "subject": "asunto",
            "text": "texto",
            "state": "estado",
            "attempts": "intentos",
            "provider": "proveedor",
            "provider_id": "id_en_el_proveedor",
            "provider_reply": "respuesta_del_proveedor",
            "request_id": "numero_de_solicitud",
            "reference": "codigo_o_pedido",
            "created_at": "creado_el",
            "sent_at": "enviado_el",
            "delivered_at": "entregado_el",
        },
    ),
    Section(
        "eventos_de_los_mensajes",
        "Lo que pasó con cada mensaje, paso a paso.",
        MessageEvent,
        lambda person: _in_pieces(MessageEvent.objects.all(), "message", person.message_ids(), "at", "pk"),
        {
            "message_id": "mensaje",
            "at": "fecha",
            "state": "estado",
            "attempt": "intento",
            "provider": "proveedor",
            "detail": "detalle",
        },
    ),
    Section(
        "acuses_de_los_proveedores",
        "Lo que los proveedores informaron después de recibir un mensaje.",
        ProviderReceipt,
        _receipts,
        {
            "provider": "proveedor",
            "provider_id": "id_en_el_proveedor",
            "state": "estado",
            "detail": "detalle",
            "at": "fecha",
        },
    ),
    Section(
        "rebotes_quejas_y_bajas",
        "Lo que volvió de los correos que se le enviaron: rechazos de su servidor, quejas y bajas.",
        RecipientFeedback,
        lambda person: feedback_of(person).order_by("at", "pk").iterator(chunk_size=IDS_PER_QUERY),
        {"message_id": "mensaje", "mailbox": "correo", "kind": "que", "detail": "detalle", "at": "fecha"},
    ),
    Section(
        "buzones_sin_envio",
        "Si se dejó de enviar correos a un buzón suyo, por qué, y cuándo terminó.",
        Suppression,
        lambda person: suppressions_of(person).select_related("partner").order_by("created_at", "pk").iterator(),
        SUPPRESSION_KEYS,
    ),
    Section(
        "pedidos_de_suscripcion",
        "Los enlaces de confirmación que se pidieron para su correo.",
        SubscriptionRequest,
        lambda person: _in_pieces(SubscriptionRequest.objects.all(), "pk", person.link_ids(), "requested_at"),
        {
            "id": "id",
            "email": "correo",
            "requested_at": "pedido_el",
            "expires_at": "vence_el",
            "used_at": "usado_el",
            "address": "direccion_de_internet",
        },
    ),
    Section(
        "consentimientos",
        "Sus aceptaciones y retiros, con el texto que leyó. Son prueba y se guardan más tiempo.",
        ConsentRecord,
        _consents,
        {
            "company": "empresa",
            "request_id": "pedido",
            "email": "correo",
            "act": "que",
            "how": "como",
            "text_version": "version_del_texto",
            "text": "texto",
            "at": "fecha",
            "address": "direccion_de_internet",
        },
    ),
    Section(
        "avisos_a_las_empresas",
        "Lo que se avisó a las empresas sobre sus códigos, mensajes y suscripciones, con el destino tapado.",
        PartnerEvent,
        _events,
        {"id": "numero", "partner": "empresa", "type": "que", "subject": "sobre", "at": "fecha", "data": "datos"},
    ),
    Section(
        "solicitudes",
        "Las llamadas de las empresas sobre usted.",
        ApiRequest,
        _requests,
        {
            "id": "numero",
            "contract": "contrato",
            "partner": "empresa",
            "action": "accion",
            "status": "respuesta",
            "code": "codigo_de_la_respuesta",
            "subject": "registro",
            "address": "direccion_de_internet",
            "created_at": "fecha",
        },
    ),
    Section(
        "actuaciones_del_personal",
        "Lo que el personal hizo con sus datos, y por qué.",
        AuditEntry,
        lambda person: _audit(person, of_registry=False),
        {
            "at": "fecha",
            "actor": "quien",
            "action": "que",
            "object_type": "sobre",
            "object_id": "registro",
            "reason": "motivo",
            "data": "datos",
        },
    ),
)
"""All sections, in the order of the file."""
