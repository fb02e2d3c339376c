"""Request log, and answers stored for idempotency keys."""

from django.db import models
from django.db.models import Q

from clients.models import Contract, Partner

PARTNERS_API = "partners"
"""Name of the API for partners where it stands beside the contracts, which a partner must be allowed."""
APIS = [*Contract.choices, (PARTNERS_API, "API para empresas")]


class ApiRequest(models.Model):
    """One call of a contract, successful or not. Contracts 1 and 3 hand out its id.

    No bodies, no codes, no tokens: the rows that the call made hold its data.
    """

    contract = models.CharField("contrato", max_length=20, choices=APIS)
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, verbose_name="empresa"
    )
    user = models.CharField("usuario", max_length=200, blank=True)
    subject = models.UUIDField("cliente", null=True)  # the client of the call, where the contract names one
    action = models.CharField("acción", max_length=60)
    status = models.PositiveSmallIntegerField("estado")
    code = models.CharField("código", max_length=40, blank=True)
    successes = models.PositiveIntegerField("éxitos", null=True)
    failures = models.PositiveIntegerField("fallos", null=True)
    address = models.GenericIPAddressField("desde", null=True)
    duration_ms = models.PositiveIntegerField("duración (ms)")
    created_at = models.DateTimeField("fecha")

    class Meta:
        verbose_name = "solicitud"
        verbose_name_plural = "solicitudes"
        indexes = [
            models.Index("partner", "id", name="requests_by_partner"),  # ascending, as ids come: full pages
            models.Index("created_at", name="requests_by_time"),
            models.Index("subject", name="requests_by_client", condition=Q(subject__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.status}"


class IdempotentAnswer(models.Model):
    """The first answer to an Idempotency-Key, stored for 24 hours for each partner and contract.

    A row without a status belongs to a call that is still running (or whose process died: then it lapses after a
    minute).
    """

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, db_index=False)
    contract = models.CharField(max_length=20, choices=APIS)
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)  # SHA-256 of method, path and body
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(name="one_answer_per_key", fields=["partner", "contract", "key"])]
        indexes = [models.Index("created_at", name="answers_by_age")]

    def __str__(self) -> str:
        return f"{self.contract} {self.created_at:%Y-%m-%d %H:%M:%S}"

    def fingerprint_is(self, fingerprint: bytes) -> bool:
        return bytes(self.fingerprint) == fingerprint
