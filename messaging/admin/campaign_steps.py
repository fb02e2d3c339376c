"""Steps that staff can take with a campaign: form, warning, and the states in which each is offered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from django import forms
from django.contrib.messages import ERROR, SUCCESS, WARNING
from django.utils import timezone
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from clients.admin.credentials import ReasonForm
from clients.identity.emails import InvalidEmail, canonical_email
from clients.models import audit
from clients.rate_limits import counters
from messaging.campaigns import lifecycle, rendering
from messaging.gateways import gateways_for
from messaging.gateways.base import GatewayError, OutcomeUnknown, Outgoing
from messaging.models import Campaign

State = Campaign.State
MAX_DAYS_AHEAD = timedelta(days=365)
TESTS_PER_HOUR = 20
"""Test mails for each member of staff. They are sent at once and past the queue, and must not be a way to send more."""


@dataclass(frozen=True)
class Actor:
    """The member of staff who takes a step, with address and time, for the audit."""

    by: str
    address: str
    at: datetime

    def as_kwargs(self) -> dict[str, Any]:
        return {"by": self.by, "address": self.address, "at": self.at}


class WhenInput(UnfoldAdminTextInputWidget):
    """Input of date and time, in the only format that browsers accept for `datetime-local`."""

    def __init__(self) -> None:
        super().__init__(attrs={"type": "datetime-local"})

    def format_value(self, value: Any) -> str | None:
        return value.strftime("%Y-%m-%dT%H:%M") if isinstance(value, datetime) else value


class StepForm(forms.Form):
    """Confirmation form of a step. Subclasses have fields."""

    def __init__(self, campaign: Campaign, staff: Actor, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        self.campaign = campaign
        self.staff = staff


class CancelForm(StepForm, ReasonForm):
    pass


class ResumeForm(StepForm, ReasonForm):
    """Resuming a campaign that paused itself, or that comes from a backup, needs a reason: staff must know its figures,
    or what it sent after the backup."""

    def __init__(self, campaign: Campaign, staff: Actor, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(campaign, staff, data)
        if not campaign.pause_reason and campaign.restored_at is None:
            del self.fields["reason"]


class ScheduleForm(StepForm):
    begins = forms.DateTimeField(
        label="Comienza", required=False, widget=WhenInput, help_text="Fecha y hora de Lima. Vacío: ahora."
    )
    recipients = forms.IntegerField(
        label="Escriba el número de destinatarios para confirmar", min_value=0, widget=UnfoldAdminIntegerFieldWidget
    )

    def __init__(self, campaign: Campaign, staff: Actor, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(campaign, staff, data)
        self.reach = lifecycle.count_audience(campaign)
        """Shown on the page, and counted again when the form is submitted."""

    def clean_begins(self) -> datetime:
        begins: datetime | None = self.cleaned_data["begins"]
        if begins is None:
            return self.staff.at
        if not self.staff.at - timedelta(minutes=5) <= begins <= self.staff.at + MAX_DAYS_AHEAD:
            raise forms.ValidationError("Debe ser de ahora a un año.")
        return begins

    def clean_recipients(self) -> int:
        if self.reach == 0:
            raise forms.ValidationError("Nadie la recibiría: no hay suscritos entre esos destinatarios.")
        if self.cleaned_data["recipients"] != self.reach:
            raise forms.ValidationError(f"En este momento son {self.reach}.")
        return self.reach


class TestForm(StepForm):
    __test__ = False  # no test case

    recipient = forms.CharField(label="Correo", max_length=254, widget=UnfoldAdminEmailInputWidget)

    def clean_recipient(self) -> str:
        try:
            return canonical_email(self.cleaned_data["recipient"])
        except InvalidEmail:
            raise forms.ValidationError("No es una dirección de correo.") from None


class Notice(NamedTuple):
    """Result of a step, shown to staff: a level of django.contrib.messages, a sentence, and where it leads."""

    level: int
    text: str
    leads_to: Campaign | None = None


def _schedule(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    reach = lifecycle.schedule(campaign, begins=data["begins"], **staff.as_kwargs())
    begins = timezone.localtime(data["begins"])
    return Notice(SUCCESS, f"Programada para el {begins:%d/%m/%Y %H:%M}: {reach} destinatarios.")


def _pause(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    lifecycle.pause(campaign, **staff.as_kwargs())
    return Notice(SUCCESS, "En pausa: ya no sale nada hasta que se reanude.")


def _resume(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    lifecycle.resume(campaign, reason=data.get("reason", ""), **staff.as_kwargs())
    return Notice(SUCCESS, "Reanudada.")


def _cancel(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    taken = lifecycle.cancel(campaign, reason=data["reason"], **staff.as_kwargs())
    return Notice(SUCCESS, f"Anulada; se retiraron {taken} mensajes que aún no salían.")


def _copy(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    made = lifecycle.copy(campaign, **staff.as_kwargs())
    return Notice(SUCCESS, "Este es el borrador de la copia; la otra campaña queda como está.", made)


def _withdraw(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    lifecycle.withdraw(campaign, **staff.as_kwargs())
    return Notice(SUCCESS, "Otra vez es un borrador.")


def _send_test(campaign: Campaign, data: dict[str, Any], staff: Actor) -> Notice:
    """Send a test mail to one address, past the queue, because staff want the provider's answer now.

    It is no client's message, so it has no row among messages. The audit entry is written before it is sent.
    """
    gateways = gateways_for("C")
    if not gateways:
        return Notice(ERROR, "No hay proveedor de correo: falta EMAIL_URL.")
    wait = counters.hit_hour(f"campaign-test:{staff.by}", TESTS_PER_HOUR)
    if wait:
        return Notice(WARNING, f"Demasiadas pruebas; espere {-(-wait // 60)} minutos.")
    audit(campaign, "campaign.tested", **staff.as_kwargs(), recipient=data["recipient"])
    text, html = rendering.preview(campaign)
    message = Outgoing(
        id=uuid4(),
        kind=campaign.type,
        via="C",
        recipient=data["recipient"],
        subject=f"[PRUEBA] {rendering.preview_subject(campaign)}",
        text=text,
        html=html,
        send_before=None,
    )
    try:
        receipt = gateways[0].send(message, None)
    except GatewayError as refusal:
        return Notice(ERROR, f"{gateways[0].name} no la aceptó: {refusal.reply}")
    except OutcomeUnknown as doubt:
        return Notice(WARNING, f"{gateways[0].name} no respondió con claridad; puede haber salido: {doubt.reply}")
    return Notice(SUCCESS, f"Prueba enviada a {data['recipient']}. {gateways[0].name} respondió: {receipt.reply}")


@dataclass(frozen=True)
class Step:
    """A step of a campaign in the admin."""

    slug: str  # in the URL of its page
    label: str
    warning: str
    sources: frozenset[str]
    act: Callable[[Campaign, dict[str, Any], Actor], Notice]
    form: type[StepForm] = StepForm
    icon: str = "arrow_forward"

    @property
    def page(self) -> str:
        """Name of its URL."""
        return f"admin:messaging_campaign_{self.slug}"


STEPS = (
    Step(
        "prueba",
        "Enviar prueba",
        "Sale de inmediato a una sola dirección, con [PRUEBA] en el asunto.",
        frozenset(State.values),
        _send_test,
        TestForm,
        "outgoing_mail",
    ),
    Step(
        "programar",
        "Programar",
        "Se enviará a todos los suscritos que correspondan cuando comience.",
        frozenset({State.DRAFT}),
        _schedule,
        ScheduleForm,
        "schedule_send",
    ),
    Step(
        "pausar",
        "Pausar",
        "Lo que está en manos de un proveedor ya no se detiene.",
        frozenset({State.SENDING}),
        _pause,
        icon="pause",
    ),
    Step(
        "reanudar",
        "Reanudar",
        "Sigue con los destinatarios que faltan.",
        frozenset({State.PAUSED}),
        _resume,
        ResumeForm,
        "play_arrow",
    ),
    Step(
        "borrador",
        "Volver a borrador",
        "No saldrá; se podrá corregir y programar otra vez.",
        frozenset({State.SCHEDULED}),
        _withdraw,
        icon="edit_note",
    ),
    Step(
        "copiar",
        "Copiar",
        "Hace un borrador con los mismos textos y destinatarios.",
        frozenset(State.values),
        _copy,
        icon="content_copy",
    ),
    Step(
        "anular",
        "Anular",
        "Lo que no ha salido ya no saldrá. No se puede deshacer.",
        frozenset({State.SCHEDULED, State.SENDING, State.PAUSED}),
        _cancel,
        CancelForm,
        "block",
    ),
)
