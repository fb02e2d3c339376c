"""Partners and their credentials, applicants, authorised and external clients, and the audit."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.lookups import Exact

from clients.audit import AuditEntry as AuditEntry
from clients.audit import audit as audit
from clients.authenticators import Authenticator as Authenticator  # a model of this app, in a file of its own
from clients.brand import brand_field
from clients.events.models import EventEpoch as EventEpoch
from clients.events.models import PartnerEvent as PartnerEvent
from clients.events.models import PrunedEvents as PrunedEvents
from clients.managers import NotErasedManager
from clients.search import names as search_terms
from clients.search.external_clients import ExternalClientManager


class Contract(models.TextChoices):
    """Published contracts that a partner may be allowed."""

    NOPASANADA = "nopasanada", "NoPasaNadaPE v1"
    INFORMAPERU = "informaperu", "InformaPerú"
    REGISTRY = "registry", "Registro externo"


def all_contracts() -> list[str]:
    return list(Contract.values)


class Partner(models.Model):
    """Company that calls one or more of the contracts."""

    name = models.CharField("nombre", max_length=100)
    slug = models.SlugField("código", max_length=50, unique=True)
    is_active = models.BooleanField("activa", default=True, help_text="Apagada: ninguna credencial suya entra.")
    contracts = ArrayField(
        models.CharField(max_length=20, choices=Contract.choices), default=all_contracts, verbose_name="contratos"
    )
    requests_per_minute = models.PositiveIntegerField(
        "solicitudes por minuto", null=True, blank=True, help_text="Vacío: el valor general (RATE_PER_PARTNER)."
    )
    paid_messages_per_day = models.PositiveIntegerField(
        "mensajes pagados por día y vía", null=True, blank=True, help_text="Vacío: el general (PAID_MESSAGES_PER_DAY)."
    )
    brand = brand_field()
    created_at = models.DateTimeField("creada", auto_now_add=True)
    twin_of = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="twin"
    )
    """The partner whose test double this is (`clients.twins`); set once. Name, brand, contracts, rate and activity of a
    twin are copied from that partner by a trigger (migration 0016)."""

    class Meta:
        verbose_name = "empresa"
        ordering = ["name"]
        constraints = [models.CheckConstraint(name="a_twin_is_of_another_partner", condition=~Q(twin_of=F("id")))]

    def __str__(self) -> str:
        return self.name

    @property
    def is_twin(self) -> bool:
        return self.twin_of_id is not None


class Credential(models.Model):
    """Key of a partner. Several are live at once, so that a key can be rotated without a gap.

    The secret itself is not stored: an opaque token is kept as its SHA-256, a JWT as its `jti`.
    """

    class Kind(models.TextChoices):
        OPAQUE = "opaque", "Token opaco"
        JWT = "jwt", "JWT"

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="credentials", verbose_name="empresa")
    kind = models.CharField("tipo", max_length=10, choices=Kind.choices)
    digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001  null: a JWT has none
    jti = models.UUIDField(unique=True, null=True, editable=False)
    prefix = models.CharField("comienza con", max_length=8, editable=False)
    created_at = models.DateTimeField("creada")
    expires_at = models.DateTimeField("vence", null=True, blank=True)
    revoked_at = models.DateTimeField("revocada", null=True, blank=True)
    last_used_at = models.DateTimeField("último uso", null=True, blank=True)
    notice_days = models.PositiveSmallIntegerField(null=True, editable=False)  # of the last `key.expiring` event
    kid = models.CharField(max_length=16, blank=True, db_default="", editable=False)
    """Name of the key that signed a JWT (`clients.jwt_keys`); empty: not known yet."""

    class Meta:
        verbose_name = "credencial"
        verbose_name_plural = "credenciales"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="credential_is_a_digest_or_a_jti",
                condition=Q(kind="opaque", digest__isnull=False, jti__isnull=True)
                | Q(kind="jwt", digest__isnull=True, jti__isnull=False),
            ),
            models.CheckConstraint(name="a_jwt_expires", condition=~Q(kind="jwt") | Q(expires_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.prefix}… ({self.partner})"

    def is_live(self, *, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class Applicant(models.Model):
    """Person who registers and then proves a phone or mailbox (contract 2, "cliente").

    PENDIENTE -> VALIDADO   a code was verified in time
    """

    class State(models.TextChoices):
        PENDING = "PENDIENTE", "Pendiente"  # registered, nothing proved yet
        VALIDATED = "VALIDADO", "Validado"  # proved; no further code can be asked for

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = models.ForeignKey(
        Partner,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="applicants",
        db_index=False,  # one_applicant_per_partner_and_document begins with it
        verbose_name="empresa",
    )
    document_type = models.CharField("tipo de documento", max_length=10)
    document_number = models.CharField("documento", max_length=15)
    check_character = models.CharField("dígito verificador", max_length=1, blank=True)
    names = models.CharField("nombres", max_length=80)
    paternal_surname = models.CharField("apellido paterno", max_length=80)
    maternal_surname = models.CharField("apellido materno", max_length=80, blank=True)
    email = models.CharField("correo", max_length=254)
    department = models.CharField("departamento", max_length=50)
    province = models.CharField("provincia", max_length=50)
    district = models.CharField("distrito", max_length=60)
    ubigeo = models.CharField("ubigeo", max_length=6)
    state = models.CharField("estado", max_length=10, choices=State.choices, default=State.PENDING)
    wrong_codes_in_a_row = models.PositiveSmallIntegerField("códigos errados seguidos", default=0)
    locked_at = models.DateTimeField("bloqueado", null=True, blank=True)
    proved_via = models.CharField("vía validada", max_length=1, blank=True)
    proved_destination = models.CharField("teléfono o correo validado", max_length=254, blank=True)
    proved_operator = models.CharField("operador", max_length=10, blank=True)
    validated_at = models.DateTimeField("validado el", null=True, blank=True)
    created_at = models.DateTimeField("registrado")
    updated_at = models.DateTimeField("actualizado")
    forgotten_at = models.DateTimeField(null=True, editable=False)  # when the personal data in the row was blanked

    all_objects = models.Manager()

    objects: ClassVar[models.Manager["Applicant"]] = NotErasedManager()

    class Meta:
        default_manager_name = "objects"
        verbose_name = "solicitante"
        constraints = [
            models.UniqueConstraint(
                name="one_applicant_per_partner_and_document",
                fields=["partner", "document_type", "document_number"],
                nulls_distinct=False,  # null (registered without a credential) counts as one partner
            ),
            models.CheckConstraint(
                name="validated_means_something_was_proved",
                condition=Q(state="PENDIENTE", validated_at__isnull=True)
                | (
                    Q(state="VALIDADO", validated_at__isnull=False)
                    & (~Q(proved_destination="") | Q(forgotten_at__isnull=False))
                ),
            ),
        ]
        indexes = [
            # for the warning that somebody else proved this number
            models.Index(
                "proved_destination",
                "partner",
                F("validated_at").desc(),
                name="applicant_by_proof",
                condition=Q(state="VALIDADO"),
            ),
            models.Index("created_at", name="applicants_by_registration"),
            models.Index("email", name="applicant_by_email"),
            GinIndex(search_terms.NAMES_OF_AN_APPLICANT, name="applicant_by_name"),
            # for retention, without rows that are blanked already
            models.Index(
                "updated_at", name="applicants_gone_quiet", condition=Q(state="PENDIENTE", forgotten_at__isnull=True)
            ),
            models.Index(
                "validated_at", name="applicants_long_done", condition=Q(state="VALIDADO", forgotten_at__isnull=True)
            ),
            models.Index("document_number", name="applicant_by_document"),
        ]

    def __str__(self) -> str:
        if self.forgotten_at is not None:
            return "datos borrados"
        return f"{self.document_type} {self.document_number}"

    @property
    def is_validated(self) -> bool:
        return self.state == self.State.VALIDATED


class AuthorizedClient(models.Model):
    """Client whom a partner authorised to receive bulletins and alerts (contract 1). One live row for each address.

    After `baja` the row stays as history; a new `alta` makes a new row, unsubscribed.
    """

    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, related_name="authorized", db_index=False, verbose_name="empresa"
    )
    email = models.CharField("correo", max_length=254)  # canonical: lower case, IDN domain in Unicode
    name = models.CharField("nombre", max_length=50, blank=True)
    document_type = models.CharField("tipo de documento", max_length=10, blank=True)
    document_number = models.CharField("número de documento", max_length=15, blank=True)
    phone = models.CharField("celular", max_length=9, blank=True)
    external_code = models.CharField("código externo", max_length=100)
    profile = models.CharField("perfil", max_length=100)
    request_id = models.BigIntegerField("solicitud")  # ApiRequest: the `id_solicitud` of its alta
    created_at = models.DateTimeField("autorizado el")
    deauthorized_at = models.DateTimeField("dado de baja el", null=True, blank=True)
    subscribed_at = models.DateTimeField("suscrito el", null=True, blank=True)
    unsubscribed_at = models.DateTimeField("se desuscribió el", null=True, blank=True)
    forgotten_at = models.DateTimeField(null=True, editable=False)  # when the personal data in the row was blanked

    all_objects = models.Manager()

    objects: ClassVar[models.Manager["AuthorizedClient"]] = NotErasedManager()

    class Meta:
        default_manager_name = "objects"
        verbose_name = "cliente autorizado"
        verbose_name_plural = "clientes autorizados"
        constraints = [
            models.UniqueConstraint(
                name="one_live_authorization_per_partner_and_email",
                fields=["partner", "email"],
                condition=Q(deauthorized_at__isnull=True),
            ),
            models.CheckConstraint(
                name="a_forgotten_client_is_not_authorized",
                condition=Q(forgotten_at__isnull=True) | Q(deauthorized_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index("partner", "id", name="live_clients_of_a_partner", condition=Q(deauthorized_at__isnull=True)),
            models.Index("email", name="clients_by_email"),  # not only live ones: agents ask about former clients too
            # for the other values that agents search by; it does not slow down an alta (clients.search.names)
            BrinIndex(
                fields=["document_number", "phone", "external_code", "request_id"],
                opclasses=[*["text_bloom_ops(n_distinct_per_range=1200)"] * 3, "int8_minmax_ops"],
                name="clients_by_what_they_have",
                pages_per_range=16,
                autosummarize=True,
            ),
            models.Index(
                "deauthorized_at",
                name="clients_long_deauthorized",
                condition=Q(deauthorized_at__isnull=False, forgotten_at__isnull=True),
            ),
            # for test twins, which are counted and emptied
            models.Index(
                "partner",
                name="former_clients_of_a_partner",
                condition=Q(deauthorized_at__isnull=False, forgotten_at__isnull=True),
            ),
            models.Index("forgotten_at", name="clients_forgotten_lately", condition=Q(forgotten_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return "datos borrados" if self.forgotten_at is not None else self.email

    @property
    def is_subscribed(self) -> bool:
        return self.subscribed_at is not None and self.unsubscribed_at is None and self.deauthorized_at is None


class ExternalClient(models.Model):
    """Client that a partner keeps in the external registry (contract 3), under the partner's own `client_id`.

    Written by `clients.external_clients` only, which records its changes in the audit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, related_name="external_clients", db_index=False, verbose_name="empresa"
    )
    client_id = models.CharField("id del cliente en la empresa", max_length=100)
    cui = models.CharField("CUI", max_length=13)
    first_name = models.CharField("nombres", max_length=100)
    last_name = models.CharField("apellidos", max_length=100)
    phone = models.CharField("teléfono", max_length=20)  # as the partner wrote it: 555-1234
    product_key = models.CharField("clave del producto", max_length=100)
    product_id = models.CharField("id del producto", max_length=100)
    origin = models.CharField("origen", max_length=100)
    data_points = models.JSONField("datos", default=list)  # [{"key", "value"}], in the order they came
    created_at = models.DateTimeField("registrado")
    updated_at = models.DateTimeField("actualizado")
    folded_name = models.TextField(editable=False)  # the words of both names, without case and accents
    phone_digits = models.GeneratedField(
        expression=Func(F("phone"), Value("[^0-9]"), Value(""), Value("g"), function="regexp_replace"),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )
    name_words = models.GeneratedField(
        expression=Func(Func(F("folded_name"), Value(" "), function="string_to_array"), function="array_to_tsvector"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects: ClassVar[ExternalClientManager] = ExternalClientManager()

    class Meta:
        verbose_name = "cliente externo"
        verbose_name_plural = "clientes externos"
        constraints = [
            models.UniqueConstraint(
                name="one_external_client_per_partner_and_client_id", fields=["partner", "client_id"]
            ),
            models.CheckConstraint(name="a_cui_has_13_digits", condition=Q(cui__regex="^[0-9]{13}$")),
            models.CheckConstraint(
                name="data_points_are_a_list",
                condition=Exact(
                    Func(F("data_points"), function="jsonb_typeof", output_field=models.TextField()), Value("array")
                ),
            ),
        ]
        indexes = [
            models.Index("created_at", "id", name="external_client_by_time"),
            # for searches by staff: `ExternalClients.found_by` uses each of them
            models.Index("client_id", name="external_client_by_client_id"),
            models.Index("cui", name="external_client_by_cui"),
            models.Index("phone_digits", name="external_client_by_phone"),
            GinIndex("name_words", name="external_client_by_name"),
        ]

    def __str__(self) -> str:
        return f"{self.client_id} ({self.first_name} {self.last_name})"


class LoginFailures(models.Model):
    """Failed logins of one name from all addresses (`staff.login_delays`)."""

    name = models.CharField(max_length=40, primary_key=True)  # a keyed hash
    day_began_at = models.DateTimeField()
    today = models.PositiveIntegerField()
    in_a_row = models.PositiveIntegerField()
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.today}, {self.in_a_row}"


class LoginAddress(models.Model):
    """Address from which a name has logged in."""

    key = models.CharField(max_length=40, primary_key=True)  # a keyed hash of both
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.last_at}"
