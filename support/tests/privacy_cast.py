"""A person with rows in every app, for the tests of export and erasure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import Applicant, AuthorizedClient, Credential, ExternalClient, Partner, audit
from conftest import NOW
from external_api.models import IdempotentAnswer
from messaging.models import Message, ProviderReceipt, SandboxMessage
from testkit.codes import request_code
from tests.factories import (
    ApiRequestFactory,
    ApplicantFactory,
    AuthorizedClientFactory,
    CampaignFactory,
    ConsentRecordFactory,
    MessageEventFactory,
    MessageFactory,
    PartnerFactory,
    RecipientFeedbackFactory,
    SubscriptionRequestFactory,
    SuppressionFactory,
)
from tokens import cooldown_overrides
from tokens.models import CodeTry, VerificationToken
from tokens.services import Origin

CODE = "Q7ZX"


@dataclass(frozen=True)
class Somebody:
    """Values of a person, found nowhere else in the tests' database."""

    document: str
    names: str
    surname: str
    email: str
    phone: str
    cui: str

    @property
    def needles(self) -> list[str]:
        return [self.document, self.names, self.surname, self.email, self.phone, self.cui]


ANA = Somebody("70012345", "Anacleta", "Quispecusi", "anacleta@dominio.com", "911222333", "2380033370713")
LUZ = Somebody("70099999", "Luzmila", "Huamancaja", "luzmila@dominio.com", "944555666", "2380033370514")


@dataclass(frozen=True)
class Rows:
    applicant: Applicant
    client: AuthorizedClient
    external: ExternalClient
    old_token: VerificationToken
    token: VerificationToken


def everywhere(who: Somebody, *, slug: str, at: Any = NOW) -> Rows:
    """Make a person's rows: registered, authorised, subscribed, in the external registry, sent messages and helped by
    staff."""
    partner = PartnerFactory(slug=slug, name=f"Banco {slug}")
    applicant = ApplicantFactory(
        partner=partner,
        document_number=who.document,
        names=who.names,
        paternal_surname=who.surname,
        maternal_surname=who.surname,
        email=who.email,
        created_at=at,
    )
    origin = Origin(partner, None, 7)
    old = request_code(applicant.pk, via="C", origin=origin, at=at - timedelta(days=5))
    CodeTry.objects.create(token=old, at=old.created_at, result="wrong")
    token = request_code(applicant.pk, via="S", phone=who.phone, operator="CLARO", origin=origin, at=at)
    _delivered(old, who.email, at=old.created_at)
    cooldown_overrides.forgive(applicant, "S", by="eva", reason="llamó", at=at)
    client = _subscribed(partner, who, at=at)
    external = _registered(partner, who, at=at)
    for subject in (applicant.pk, external.pk):
        ApiRequestFactory(partner=partner, subject=subject, address="192.0.2.44", created_at=at)
    for number, body in enumerate(
        (f'{{"correo": "{who.email}"}}', str(applicant.pk), f"por {who.names.upper()} {who.surname.upper()}")
    ):
        IdempotentAnswer.objects.create(
            partner=partner,
            contract="nopasanada",
            key=f"{slug}{number}",
            fingerprint=b"x",
            status=200,
            body=body.encode(),
            created_at=at,
        )
    eva, _ = User.objects.get_or_create(username="eva")
    audit(eva, "clients.exported", at=at, by="eva", format="csv", filter={"q": who.email.upper(), "perfil": "VIP"})
    for row in (applicant, client):
        LogEntry.objects.create(
            user=eva,
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=str(row),
            action_flag=2,
            change_message=who.names,
        )
    return Rows(applicant, client, external, old, token)


def _delivered(token: VerificationToken, to: str, *, at: Any) -> None:
    """Settle the message of a code as a worker and a provider do."""
    Message.objects.filter(reference=token.pk).update(
        state="UNDELIVERED",
        sent_at=at,
        sealed=None,
        provider="smtp",
        provider_id=f"id-{token.pk}",
        provider_reply=f"250 ok <{to}>",
    )
    message = Message.objects.get(reference=token.pk)
    MessageEventFactory(message=message, at=at, detail=f"550 <{to}> unknown")
    ProviderReceipt.objects.create(
        provider="smtp", provider_id=f"id-{token.pk}", state="UNDELIVERED", detail=f"no buzón {to}", at=at
    )
    RecipientFeedbackFactory(message=message, at=at, detail=f"550 <{to}> unknown")
    SuppressionFactory(mailbox=to, message=message, created_at=at, evidence=f"550 <{to}> unknown")
    SandboxMessage.objects.create(message_id=message.pk, via=message.via, to=to, text=f"hola {to} {CODE}", created=at)


def _subscribed(partner: Partner, who: Somebody, *, at: Any) -> AuthorizedClient:
    client: AuthorizedClient = AuthorizedClientFactory(
        partner=partner,
        email=who.email,
        name=f"{who.names} {who.surname}",
        document_type="DNI",
        document_number=who.document,
        phone=who.phone,
        external_code=f"C-{who.document}",
        request_id=5,
        created_at=at,
        subscribed_at=at,
    )
    link, _ = (
        SubscriptionRequestFactory(email=who.email, requested_at=at, used_at=used, address="192.0.2.9")
        for used in (at, None)
    )
    ConsentRecordFactory(
        authorized_client=client, request=link, text=f"Acepto en {who.email}", at=at, address="192.0.2.9"
    )
    MessageFactory(
        sent=True,
        partner=partner,
        kind="suscripcion",
        via="C",
        recipient=who.email,
        subject="confirma",
        text="enlace",
        reference=link.pk,
        created_at=at,
    )
    MessageFactory(
        partner=partner,
        kind="boletin",
        via="C",
        recipient=who.email,
        subject="Noticias",
        text="",
        authorized_client=client,
        campaign=CampaignFactory(state="SENDING", created_at=at, started_at=at),
        created_at=at,
    )
    return client


def _registered(partner: Partner, who: Somebody, *, at: Any) -> ExternalClient:
    """External client that was registered and changed, so that the audit holds values before and after."""
    key, _ = issue(partner, Credential.Kind.JWT, at=at, by="test")
    for phone in ("555-0000", who.phone):
        details = Details(
            who.cui,
            who.names,
            who.surname,
            phone,
            "P",
            "1",
            "web",
            [{"key": "correo", "value": f"{phone} {who.email}"}],
        )
        pk = register(key, who.document, details, request_id=9, address="192.0.2.3", at=at)
    return ExternalClient.objects.get(pk=pk)
