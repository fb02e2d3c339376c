"""Rows for tests, by factory-boy: each is complete and as the product writes it, but for the fields a test names."""

import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import factory
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone
from django.utils.text import slugify
from factory.django import DjangoModelFactory

from clients.events.models import PartnerEvent
from clients.models import Applicant, AuthorizedClient, Credential, ExternalClient, Partner
from clients.search.external_clients import folded
from clients.uuid7 import uuid7
from external_api.models import ApiRequest
from messaging.models import Campaign, Message, MessageEvent, RecipientFeedback, Suppression
from subscription.models import LINK_LIFETIME, ConsentRecord, SubscriptionRequest
from tokens import codes
from tokens.cooldown import wait_before
from tokens.models import CODE_LIFETIME, MAX_TRIES, LadderForgiveness, VerificationToken
from webhooks import signing
from webhooks.models import Delivery, Endpoint

ENDPOINT_SECRET = "whsec_" + "QVZBTCBURVNUIFNFQ1JFVCBPRiAzMiBCWVRFUyEhISE="


class PartnerFactory(DjangoModelFactory):
    """Partner with all contracts; its slug follows from its name. A slug that is there already means that partner."""

    class Meta:
        model = Partner
        django_get_or_create = ("slug",)

    name = factory.Sequence(lambda number: f"Empresa {number}")
    slug = factory.LazyAttribute(lambda partner: slugify(partner.name)[:50])


class StaffUserFactory(DjangoModelFactory):
    """Staff member without a password. `roles`: names of groups; `rights`: codenames of permissions."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = "eva"
    is_staff = True
    password = factory.django.Password(None)

    @factory.post_generation
    def roles(user: Any, create: bool, names: Any, **_: Any) -> None:
        groups = Group.objects.filter(name__in=names or ())
        assert groups.count() == len(names or ()), names
        user.groups.set(groups)

    @factory.post_generation
    def rights(user: Any, create: bool, codenames: Any, **_: Any) -> None:
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames or ()))


class CredentialFactory(DjangoModelFactory):
    """Opaque token that does not expire. `secret`: the token itself."""

    class Meta:
        model = Credential

    class Params:
        secret = factory.Sequence(lambda number: f"{number:032}")

    partner = factory.SubFactory(PartnerFactory)
    kind = "opaque"
    digest = factory.LazyAttribute(lambda key: hashlib.sha256(key.secret.encode()).hexdigest())
    prefix = factory.LazyAttribute(lambda key: key.secret[:4])
    created_at = factory.LazyFunction(timezone.now)


class ApplicantFactory(DjangoModelFactory):
    """Applicant of Lima, registered without a credential, who has proved nothing."""

    class Meta:
        model = Applicant

    document_type = "DNI"
    document_number = factory.Sequence(lambda number: f"{40_000_000 + number}")
    check_character = "9"
    names = "Juan"
    paternal_surname = "Perez"
    maternal_surname = "Gomez"
    email = factory.LazyAttribute(lambda applicant: f"juan{applicant.document_number}@example.com")
    department = "LIMA"
    province = "LIMA"
    district = "MIRAFLORES"
    ubigeo = "150122"
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("created_at")


class AuthorizedClientFactory(DjangoModelFactory):
    """Authorised client who is not subscribed."""

    class Meta:
        model = AuthorizedClient

    partner = factory.SubFactory(PartnerFactory)
    email = factory.Sequence(lambda number: f"cliente{number}@dominio.com")
    external_code = "C1"
    profile = "VIP"
    request_id = 1
    created_at = factory.LazyFunction(timezone.now)


class ExternalClientFactory(DjangoModelFactory):
    class Meta:
        model = ExternalClient

    partner = factory.SubFactory(PartnerFactory)
    client_id = factory.Sequence(lambda number: f"CL{number}")
    cui = "2380033370713"
    first_name = "Juan"
    last_name = "Pérez"
    phone = "555-1234"
    product_key = "ABC123"
    product_id = "98765"
    origin = "website"
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("created_at")
    folded_name = factory.LazyAttribute(lambda client: folded(f"{client.first_name} {client.last_name}"))


class SubscriptionRequestFactory(DjangoModelFactory):
    """Confirmation link that was not used."""

    class Meta:
        model = SubscriptionRequest

    email = "ana@dominio.com"
    requested_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyAttribute(lambda link: link.requested_at + LINK_LIFETIME)
    address = "192.0.2.1"


class ConsentRecordFactory(DjangoModelFactory):
    """Consent by a confirmation link."""

    class Meta:
        model = ConsentRecord

    authorized_client = factory.SubFactory(AuthorizedClientFactory)
    email = factory.SelfAttribute("authorized_client.email")
    request = factory.SubFactory(
        SubscriptionRequestFactory, email=factory.SelfAttribute("..email"), requested_at=factory.SelfAttribute("..at")
    )
    act = "given"
    how = "link"
    text_version = "1"
    text = "Acepto"
    at = factory.LazyFunction(timezone.now)
    address = "192.0.2.1"


class VerificationTokenFactory(DjangoModelFactory):
    """Live code by SMS. `code`: what verifies it. `rung`: its place on both ladders.

    The columns of its end follow from `outcome`; the destination of `via` C is the applicant's mailbox.
    """

    class Meta:
        model = VerificationToken

    class Params:
        code = factory.LazyFunction(codes.generate)
        rung = 1

    id = factory.LazyFunction(uuid4)
    applicant = factory.SubFactory(ApplicantFactory)
    via = "S"
    destination = factory.LazyAttribute(lambda token: token.applicant.email if token.via == "C" else "987654321")
    operator = factory.LazyAttribute(lambda token: "" if token.via == "C" else "CLARO")
    code_hmac = factory.LazyAttribute(
        lambda token: b"" if token.outcome == "VALIDADO" else codes.digest(token.id, token.code)
    )
    created_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyAttribute(lambda token: token.created_at + CODE_LIFETIME)
    outcome = "PENDIENTE"
    client_attempt = factory.SelfAttribute("rung")
    client_wait = factory.LazyAttribute(lambda token: wait_before(token.client_attempt + 1))
    destination_attempt = factory.SelfAttribute("rung")
    destination_wait = factory.LazyAttribute(lambda token: wait_before(token.destination_attempt + 1))

    @factory.lazy_attribute
    def wrong_tries(token: Any) -> int:
        return {"FALLIDO": MAX_TRIES, "EXPIRADO": 1}.get(token.outcome, 0)

    @factory.lazy_attribute
    def finished_at(token: Any) -> Any:
        if token.outcome == "PENDIENTE":
            return None
        if token.outcome in ("EXPIRADO", "SIN_RESPUESTA"):
            return token.expires_at + timedelta(seconds=1)  # by the sweep, which comes after
        return token.created_at + timedelta(seconds=20)

    @factory.lazy_attribute
    def returned_at(token: Any) -> Any:
        return token.finished_at if token.outcome == "NO_ENVIADO" else None


class LadderForgivenessFactory(DjangoModelFactory):
    """Forgiveness of the applicant's ladder by SMS; that of a destination where the test names one."""

    class Meta:
        model = LadderForgiveness

    applicant = factory.SubFactory(ApplicantFactory)
    via = "S"
    at = factory.LazyFunction(timezone.now)
    by = "eva"
    reason = "llamó"


class CampaignFactory(DjangoModelFactory):
    """Draft of a bulletin to the clients of all partners."""

    class Meta:
        model = Campaign

    type = "boletin"
    subject = "Novedades"
    text = "Las novedades del mes."
    created_by = "ana"
    created_at = factory.LazyFunction(timezone.now)


class MessageFactory(DjangoModelFactory):
    """Message with a code by SMS: queued, or as a trait says. In the state SENDING it is claimed."""

    class Meta:
        model = Message

    class Params:
        queued = factory.Trait(state="QUEUED")
        handed_over = factory.Trait(attempts=1, provider="sandbox", handed_over_at=factory.SelfAttribute("created_at"))
        sent = factory.Trait(
            handed_over=True,
            state="SENT",
            sent_at=factory.SelfAttribute("created_at"),
            provider_id=factory.Sequence(lambda number: f"id-{number}"),
            provider_reply="sandbox",
        )
        failed = factory.Trait(handed_over=True, state="FAILED", provider_reply="rechazado")

    kind = "verificacion"
    via = "S"
    recipient = "987654321"
    text = "x"
    state = "QUEUED"
    claim_id = factory.LazyAttribute(lambda message: uuid4() if message.state in ("SENDING", "UNKNOWN") else None)
    lease_until = factory.LazyAttribute(lambda message: message.created_at if message.state == "SENDING" else None)
    created_at = factory.LazyFunction(timezone.now)
    next_attempt_at = factory.SelfAttribute("created_at")


class MessageEventFactory(DjangoModelFactory):
    """First event of a message, at its time and with its state."""

    class Meta:
        model = MessageEvent

    message = factory.SubFactory(MessageFactory)
    at = factory.SelfAttribute("message.created_at")
    state = factory.SelfAttribute("message.state")
    attempt = 1


class SuppressionFactory(DjangoModelFactory):
    """Live entry of the suppression list, for all companies, after a hard bounce."""

    class Meta:
        model = Suppression

    mailbox = "ana@dominio.com"
    reason = "HARD_BOUNCE"
    evidence = "550 5.1.1 user unknown"
    created_at = factory.LazyFunction(timezone.now)
    last_at = factory.SelfAttribute("created_at")


class RecipientFeedbackFactory(DjangoModelFactory):
    """Hard bounce of a bulletin."""

    class Meta:
        model = RecipientFeedback

    message = factory.SubFactory(
        MessageFactory,
        failed=True,
        kind="boletin",
        via="C",
        recipient="ana@dominio.com",
        created_at=factory.SelfAttribute("..at"),
    )
    campaign = factory.SelfAttribute("message.campaign")
    mailbox = factory.SelfAttribute("message.recipient")
    kind = "HARD_BOUNCE"
    detail = "550 5.1.1 user unknown"
    at = factory.LazyFunction(timezone.now)


class ApiRequestFactory(DjangoModelFactory):
    """Request for a code, by contract 2 and without a credential, that was accepted."""

    class Meta:
        model = ApiRequest

    contract = "informaperu"
    action = "token"
    status = 200
    duration_ms = 1
    created_at = factory.LazyFunction(timezone.now)


class EndpointFactory(DjangoModelFactory):
    """Webhook of a new partner; its secret is `ENDPOINT_SECRET`."""

    class Meta:
        model = Endpoint

    partner = factory.SubFactory(PartnerFactory)
    url = factory.Sequence(lambda number: f"https://hooks{number}.example.com/aval")
    secret = factory.LazyAttribute(lambda endpoint: signing.sealed(ENDPOINT_SECRET, owner=endpoint.id))
    id = factory.LazyFunction(uuid7)
    epoch = "0123456789abcdef"
    cursor_xid = 1
    cursor_event_id = 0
    created_at = factory.LazyFunction(timezone.now)


class DeliveryFactory(DjangoModelFactory):
    """Delivery that is due, of an event that there is."""

    class Meta:
        model = Delivery

    class Params:
        at = factory.LazyFunction(timezone.now)
        event = factory.LazyAttribute(
            lambda delivery: PartnerEvent.objects.create(
                partner=delivery.endpoint.partner, type="key.expiring", subject="aB3x", at=delivery.at, data={"days": 7}
            )
        )

    endpoint = factory.SubFactory(EndpointFactory)
    event_id = factory.LazyAttribute(lambda delivery: delivery.event.id)
    type = "key.expiring"
    next_try_at = factory.SelfAttribute("at")
    created_at = factory.SelfAttribute("at")


def browser(user: User, **environ: Any) -> Client:
    """Browser with a session of the user, after a complete login."""
    http = Client(**environ)
    http.force_login(user)
    return http


def superuser_browser(name: str = "ana", **environ: Any) -> Client:
    """Browser of a new superuser, at 192.0.2.7."""
    return browser(StaffUserFactory(username=name, is_superuser=True), **{"REMOTE_ADDR": "192.0.2.7", **environ})


def staff_browser(*rights: str, roles: tuple[str, ...] = (), name: str = "eva", **fields: Any) -> Client:
    """Browser of a new staff member with these rights and roles, at 192.0.2.7."""
    user = StaffUserFactory(username=name, rights=rights, roles=roles, **fields)
    return browser(user, REMOTE_ADDR="192.0.2.7")
