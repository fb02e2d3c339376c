"""Rows for every page of the admin, as many as wanted, with one text in each column that a partner, client, provider or
staff member could have written."""

from datetime import timedelta

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import Partner, audit
from conftest import make_applicant
from messaging.models import Message, ProviderEvent, ProviderState
from tests.factories import (
    ApiRequestFactory,
    AuthorizedClientFactory,
    CampaignFactory,
    ConsentRecordFactory,
    DeliveryFactory,
    EndpointFactory,
    LadderForgivenessFactory,
    MessageEventFactory,
    MessageFactory,
    PartnerFactory,
    StaffUserFactory,
    SuppressionFactory,
    VerificationTokenFactory,
)

HOSTILE = '<script>alert("x")</script>{{ 7777|add:7777 }}{{ 7777*7777 }}{% debug %}'


def registered():
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


def list_of(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row, name="change"):
    from django.contrib.admin.utils import quote

    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[quote(row.pk)])


def everything(text, numbers, partner=None):
    """Make one row of each kind for each number. Rows of a partner belong to `partner`, or to the first there is."""
    for number in numbers:
        own = PartnerFactory(name=text[:90] + str(number), slug=f"empresa-{number}")
        first = partner or Partner.objects.order_by("pk").first()
        _people(text, number, first)
        _staff(text, number)
        _campaigns_and_providers(text, number, first)
        at = timezone.now() - timedelta(minutes=number)
        ApiRequestFactory(contract="registry", partner=own, user=text[:200], action=text[:60], created_at=at)
        endpoint = EndpointFactory(
            partner=own, url=f"https://{number}.example.com/?{text}"[:500], description=text[:200]
        )
        DeliveryFactory(endpoint=endpoint, last_error=text[:200])


def _people(text, number, partner):
    at = timezone.now() - timedelta(minutes=number)
    credential, _ = issue(partner, "opaque", at=at, by=text[:150])
    person = make_applicant(
        f"{number:08}",
        partner=partner,
        names=text[:80],
        paternal_surname=text[:80],
        email=text[:250] + str(number),
        district=text[:60],
        created_at=at,
    )
    token = VerificationTokenFactory(applicant=person, destination=text[:254], created_at=at, outcome="EXPIRADO")
    message = MessageFactory(
        sent=True,
        partner=partner,
        credential=credential,
        kind="alerta",
        via="C",
        recipient=text[:254],
        subject=text[:200],
        text=text,
        provider=text[:100],
        provider_reply=text[:300],
        reference=token.pk,
        created_at=at,
    )
    newest = Message.objects.order_by("-created_at", "-id").first()
    for each in {message, newest}:
        MessageEventFactory(message=each, at=at, state="SENT", provider=text[:100], detail=text[:300])
    LadderForgivenessFactory(applicant=person, destination=text[:254], at=at, by=text[:150], reason=text[:500])
    client = AuthorizedClientFactory(
        partner=partner,
        email=f"{text[:200]}{number}",
        name=text[:50],
        external_code=text[:100],
        profile=text[:100],
        request_id=number,
        created_at=at,
    )
    points = [{"key": text[:90], "value": text}]
    details = Details("2380033370713", text[:100], text[:100], text[:20], text[:100], text[:100], text[:100], points)
    register(credential, f"{text[:90]}{number}", details, request_id=number, address=None, at=at)
    SuppressionFactory(
        mailbox=f"{text[:200]}{number}",
        evidence=text[:500],
        created_by=text[:150],
        created_at=at,
        lifted_at=at,
        lifted_by=text[:150],
        lifted_because=text[:500],
    )
    ConsentRecordFactory(authorized_client=client, email=text[:254], text=text, at=at)


def _staff(text, number):
    group = Group.objects.create(name=f"{text[:120]}{number}")
    group.permissions.set(Permission.objects.filter(codename__startswith="view_")[: 1 + number % 5])
    user = StaffUserFactory(username=f"{text[:120]}{number}", first_name=text[:150])
    user.groups.add(group)
    changes = [{"field": "name", "before": text, "after": [text, None]}, {"field": text, "before": {text: text}}]
    audit(user, "user.changed", at=timezone.now(), by=text[:150], reason=text[:500], changes=changes, note=text)


def _campaigns_and_providers(text, number, partner):
    at = timezone.now() - timedelta(minutes=number)
    campaign = CampaignFactory(
        subject=text[:180], text=text, html=text, profiles=[text[:100]], created_by=text[:150], created_at=at
    )
    campaign.partners.add(partner)
    state = ProviderState.objects.create(name=f"{text[:90]}{number}", set_aside_at=at, reason=text[:300], by=text[:150])
    first = ProviderState.objects.order_by("name").first()
    for each in {state, first}:
        ProviderEvent.objects.create(
            provider=each.name, at=at, what=ProviderEvent.What.values[0], reason=text[:300], by=text[:150]
        )
