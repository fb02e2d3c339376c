"""Steps of a campaign in the admin: each with its form, its warning and the states it starts from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
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
FURTHEST = timedelta(days=365)
TESTS_PER_HOUR = 20
"""Test mails an hour for each staff member. A test is sent at once, past every queue, and must not become a way to
send."""


@dataclass(frozen=True)
class Who:
    """Who takes a step, when and from where, for the audit."""

    by: str
    address: str
    at: datetime

    def words(self) -> dict[str, Any]:
        return {"by": self.by, "address": self.address, "at": self.at}


class WhenInput(UnfoldAdminTextInputWidget):
    """Date and time input in the one format that browsers understand."""

    def __init__(self) -> None:
        super().__init__(attrs={"type": "datetime-local"})

    def format_value(self, value: Any) -> str | None:
        return value.strftime("%Y-%m-%dT%H:%M") if isinstance(value, datetime) else value


class StepForm(forms.Form):
    """Form that confirms a step. Some steps ask for more."""

    def __init__(self, campaign: Campaign, who: Who, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        self.campaign = campaign
        self.who = who


class CancelForm(StepForm, ReasonForm):
    pass


class ScheduleForm(StepForm):
    begins = forms.DateTimeField(
        label="Comienza", required=False, widget=WhenInput, help_text="Fecha y hora de Lima. Vacío: ahora."
    )
    recipients = forms.IntegerField(
        label="Escriba el número de destinatarios para confirmar", min_value=0, widget=UnfoldAdminIntegerFieldWidget
    )

    def __init__(self, campaign: Campaign, who: Who, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(campaign, who, data)
        self.reach = lifecycle.count_audience(campaign)
        """Audience shown on the page; counted again when the form comes back."""

    def clean_begins(self) -> datetime:
        begins: datetime | None = self.cleaned_data["begins"]
        if begins is None:
            return self.who.at
        if not self.who.at - timedelta(minutes=5) <= begins <= self.who.at + FURTHEST:
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


Said = tuple[int, str]
"""Result for staff: a level of django.contrib.messages, and a text."""


def _schedule(campaign: Campaign, data: dict[str, Any], who: Who) -> Said:
    reach = lifecycle.schedule(campaign, begins=data["begins"], **who.words())
    begins = timezone.localtime(data["begins"])
    return SUCCESS, f"Programada para el {begins:%d/%m/%Y %H:%M}: {reach} destinatarios."


def _pause(campaign: Campaign, data: dict[str, Any], who: Who) -> Said:
    lifecycle.pause(campaign, **who.words())
    return SUCCESS, "En pausa: ya no sale nada hasta que se reanude."


def _resume(campaign: Campaign, data: dict[str, Any], who: Who) -> Said:
    lifecycle.resume(campaign, **who.words())
    return SUCCESS, "Reanudada."


def _cancel(campaign: Campaign, data: dict[str, Any], who: Who) -> Said:
    taken = lifecycle.cancel(campaign, reason=data["reason"], **who.words())
    return SUCCESS, f"Anulada; se retiraron {taken} mensajes que aún no salían."


def _take_back(campaign: Campaign, data: dict[str, Any], who: Who) -> Said:
    lifecycle.take_back(campaign, **who.words())
    return SUCCESS, "Otra vez es un borrador."


def _try_out(campaign: Campaign, data: dict[str, Any], who: Who) -> Said:
    """Send a test to one address, past the queue: staff wants the provider's answer now. It is no client's message, so
    no row of a message is made; the audit entry is written before it is sent."""
    gateways = gateways_for("C")
    if not gateways:
        return ERROR, "No hay proveedor de correo: falta EMAIL_URL."
    wait = counters.hit_hour(f"campaign-test:{who.by}", TESTS_PER_HOUR)
    if wait:
        return WARNING, f"Demasiadas pruebas; espere {-(-wait // 60)} minutos."
    audit(campaign, "campaign.tested", **who.words(), recipient=data["recipient"])
    text, html = rendering.preview(campaign)
    message = Outgoing(
        id=uuid4(),
        kind=campaign.type,
        via="C",
        recipient=data["recipient"],
        subject=f"[PRUEBA] {campaign.full_subject}",
        text=text,
        html=html,
        send_before=None,
    )
    try:
        receipt = gateways[0].send(message, None)
    except GatewayError as refusal:
        return ERROR, f"{gateways[0].name} no la aceptó: {refusal.reply}"
    except OutcomeUnknown as doubt:
        return WARNING, f"{gateways[0].name} no respondió con claridad; puede haber salido: {doubt.reply}"
    return SUCCESS, f"Prueba enviada a {data['recipient']}. {gateways[0].name} respondió: {receipt.reply}"


@dataclass(frozen=True)
class Step:
    slug: str  # in the address of its page
    label: str
    warning: str
    sources: frozenset[str]
    take: Callable[[Campaign, dict[str, Any], Who], Said]
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
        _try_out,
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
        icon="play_arrow",
    ),
    Step(
        "borrador",
        "Volver a borrador",
        "No saldrá; se podrá corregir y programar otra vez.",
        frozenset({State.SCHEDULED}),
        _take_back,
        icon="edit_note",
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
