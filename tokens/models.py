"""Verification codes, tries and ladder forgiveness. The rows are the cooldown history: none is deleted in 24 hours."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q

from clients.models import Applicant, Partner
from clients.uuid7 import uuid7
from messaging.models import Via
from tokens.destinations import key_of

CODE_LIFETIME = timedelta(seconds=150)
"""Contract 2: 2:30 min. 150.000 s is still in time."""
MAX_TRIES = 5
"""Contract 2: "permite hasta 5 intentos"."""
GRACE = timedelta(seconds=5)
"""A browser's timer may be this much ahead of ours; `expire` is accepted that much before the end."""


def twin_field() -> models.ForeignKey:
    """The test twin whose ladder counts the row; null: the ladder that all but twins share."""
    return models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, editable=False, related_name="+", db_index=False
    )


class TimeLimited:
    """A code that ends by itself, as a row or as plain values."""

    __slots__ = ()

    expires_at: Any
    wrong_tries: Any

    def is_expired(self, *, at: datetime) -> bool:
        return bool(at > self.expires_at)

    def closing_outcome(self) -> str:
        """The outcome of a code that ends because its time is up."""
        outcomes = VerificationToken.Outcome
        return outcomes.EXPIRED if self.wrong_tries else outcomes.NO_ANSWER


class VerificationToken(TimeLimited, models.Model):
    """A code sent to a destination, and its outcome. One PENDIENTE at most for each applicant.

    PENDIENTE -> VALIDADO       the code came back in time
         |-----> FALLIDO        five wrong ones; one, while its caller is over the limit of wrong codes
         |-----> EXPIRADO       150 s over, after wrong tries
         |-----> SIN_RESPUESTA  150 s over, nothing was typed
         |-----> CANCELADO      by the partner, or its mailbox was replaced
         |-----> REEMPLAZADO    a newer code was asked for
         `-----> NO_ENVIADO     no provider took the message before the code expired
    """

    class Outcome(models.TextChoices):
        PENDING = "PENDIENTE", "Pendiente"  # live, or expired and not yet closed by the sweep
        VALIDATED = "VALIDADO", "Validado"  # the right code: off the destination's ladder
        FAILED = "FALLIDO", "Fallido"  # the last wrong try that is allowed
        EXPIRED = "EXPIRADO", "Expirado"  # its time is up, after one to four wrong tries
        NO_ANSWER = "SIN_RESPUESTA", "Sin respuesta"  # its time is up, without a try
        CANCELLED = "CANCELADO", "Cancelado"  # keeps its rung: it counts as a failed attempt
        REPLACED = "REEMPLAZADO", "Reemplazado"  # keeps its rung too
        NOT_SENT = "NO_ENVIADO", "No enviado"  # its rung was given back

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    applicant = models.ForeignKey(
        Applicant, on_delete=models.PROTECT, related_name="tokens", db_index=False, verbose_name="solicitante"
    )
    twin = twin_field()
    via = models.CharField("vía", max_length=1, choices=Via.choices)
    destination = models.CharField("destino", max_length=254)  # empty: erased, once no ladder needs it
    operator = models.CharField("operador", max_length=10, blank=True)
    code_hmac = models.BinaryField(max_length=32)
    wrong_tries = models.PositiveSmallIntegerField("intentos errados", default=0)
    created_at = models.DateTimeField("solicitado")
    expires_at = models.DateTimeField("vence")
    outcome = models.CharField("resultado", max_length=13, choices=Outcome.choices, default=Outcome.PENDING)
    finished_at = models.DateTimeField("cerrado", null=True)
    returned_at = models.DateTimeField("peldaño devuelto", null=True)  # no provider is known to have taken it
    client_attempt = models.PositiveSmallIntegerField("intento del cliente")
    client_wait = models.DurationField("espera del cliente")  # until the client's next request, as imposed then
    destination_attempt = models.PositiveSmallIntegerField("intento del destino")
    destination_wait = models.DurationField("espera del destino")
    forget_at = models.DateTimeField(null=True, editable=False)  # its person was erased; the ladder needs it until then

    class Meta:
        verbose_name = "código"
        constraints = [
            models.UniqueConstraint(
                name="one_pending_token_per_applicant", fields=["applicant"], condition=Q(outcome="PENDIENTE")
            ),
            models.CheckConstraint(name="at_most_five_wrong_tries", condition=Q(wrong_tries__lte=MAX_TRIES)),
            models.CheckConstraint(
                name="finished_means_an_outcome",
                condition=Q(outcome="PENDIENTE", finished_at__isnull=True)
                | (~Q(outcome="PENDIENTE") & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index("applicant", F("created_at").desc(), name="tokens_of_an_applicant"),
            models.Index("destination", "via", "twin", F("created_at").desc(), name="ladder_of_a_destination"),
            models.Index(
                key_of(), "twin", F("created_at").desc(), name="ladder_of_a_mailbox", condition=Q(via="C")
            ),  # one mailbox, however it is spelled
            models.Index("twin", name="tokens_of_a_twin", condition=Q(twin__isnull=False)),
            models.Index("created_at", name="tokens_by_request_time"),
            models.Index("expires_at", name="tokens_to_close", condition=Q(outcome="PENDIENTE")),
            models.Index("created_at", name="tokens_with_destination", condition=~Q(destination="")),
            models.Index("forget_at", name="tokens_of_the_erased", condition=Q(forget_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.get_via_display()} {self.created_at:%d/%m/%Y %H:%M:%S}"


O = VerificationToken.Outcome  # noqa: E741  read as a set of outcomes below
TRANSITIONS: dict[str, frozenset[str]] = {
    outcome: frozenset(set(O) - {O.PENDING}) if outcome == O.PENDING else frozenset() for outcome in O
}
"""The diagram in the docstring of VerificationToken as data: every outcome but PENDIENTE is final."""


class CodeTry(models.Model):
    """A typed code that did not verify, shown by support. Append-only; the right code in time is the token's own
    outcome. The typed text is stored nowhere."""

    class Result(models.TextChoices):
        WRONG = "wrong", "Errado"  # counted: the fifth ends the code
        LATE = "late", "Correcto, fuera de tiempo"  # the right code, after its 150 s
        LATE_WRONG = "late_wrong", "Errado, fuera de tiempo"

    token = models.ForeignKey(VerificationToken, on_delete=models.CASCADE, related_name="tries", db_index=False)
    at = models.DateTimeField("fecha")
    result = models.CharField("resultado", max_length=10, choices=Result.choices)

    class Meta:
        verbose_name = "intento"
        indexes = [models.Index("token", "at", name="tries_of_a_token")]

    def __str__(self) -> str:
        return f"{self.get_result_display()} {self.at:%d/%m/%Y %H:%M:%S}"


class LadderForgiveness(models.Model):
    """Decision of staff that earlier requests of a client, and of the destination they went to, no longer count.

    A dated row with its reason; the history itself is never changed.
    """

    applicant = models.ForeignKey(
        Applicant, on_delete=models.PROTECT, related_name="forgiven", db_index=False, verbose_name="solicitante"
    )
    twin = twin_field()
    via = models.CharField("vía", max_length=1, choices=Via.choices)
    destination = models.CharField("destino", max_length=254, blank=True)
    at = models.DateTimeField("fecha")
    by = models.CharField("quién", max_length=150)
    reason = models.CharField("motivo", max_length=500)

    class Meta:
        verbose_name = "perdón de espera"
        verbose_name_plural = "perdones de espera"
        permissions = [("forgive_often", "Perdonar la espera de un destino más de tres veces al día")]
        constraints = [models.CheckConstraint(name="forgiveness_has_a_reason", condition=~Q(reason=""))]
        indexes = [
            models.Index("applicant", "via", "at", name="forgiven_applicant"),
            models.Index("destination", "via", "twin", "at", name="forgiven_on_a_destination"),
            models.Index(key_of(), "twin", F("at"), name="forgiven_on_a_mailbox", condition=Q(via="C")),
        ]

    def __str__(self) -> str:
        return f"{self.via} {self.at:%d/%m/%Y %H:%M}"
