"""Rows of everything that has a page in the admin, as many as wanted, with any text wherever somebody outside or one of
the staff could have put it."""

from datetime import timedelta

from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse
from django.utils import timezone

from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import AuthorizedClient, Partner, audit
from conftest import make_applicant
from external_api.models import ApiRequest
from messaging.models import Campaign, Message, MessageEvent, ProviderEvent, ProviderState
from subscription.models import ConsentRecord, SubscriptionRequest
from tests.factories import PartnerFactory
from tokens.models import LadderForgiveness, VerificationToken

HOSTILE = '<script>alert("x")</script>{{ 7777|add:7777 }}{{ 7777*7777 }}{% debug %}'


def registered():
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


def list_of(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row, name="change"):
    from django.contrib.admin.utils import quote

    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[quote(row.pk)])


def everything(text, numbers, partner=None):
    """One row of each kind for each number; what belongs to something belongs to the first partner there is."""
    for number in numbers:
        own = PartnerFactory(name=text[:90] + str(number), slug=f"empresa-{number}")
        first = partner or Partner.objects.order_by("pk").first()
        _people(text, number, first)
        _staff(text, number)
        _campaigns_and_providers(text, number, first)
        at = timezone.now() - timedelta(minutes=number)
        ApiRequest.objects.create(
            contract="registry",
            partner=own,
            user=text[:200],
            action=text[:60],
            status=200,
            duration_ms=1,
            created_at=at,
        )


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
    token = VerificationToken.objects.create(
        applicant=person,
        via="S",
        destination=text[:254],
        operator="CLARO",
        code_hmac=b"0" * 32,
        created_at=at,
        expires_at=at,
        outcome="EXPIRADO",
        finished_at=at,
        client_attempt=1,
        client_wait=timedelta(0),
        destination_attempt=1,
        destination_wait=timedelta(0),
    )
    message = Message.objects.create(
        partner=partner,
        credential=credential,
        kind="alerta",
        via="C",
        recipient=text[:254],
        subject=text[:200],
        text=text,
        state="SENT",
        next_attempt_at=at,
        provider=text[:100],
        provider_reply=text[:300],
        reference=token.pk,
        created_at=at,
    )
    newest = Message.objects.order_by("-created_at", "-id").first()
    for each in {message, newest}:
        MessageEvent.objects.create(
            message=each, at=at, state="SENT", attempt=1, provider=text[:100], detail=text[:300]
        )
    LadderForgiveness.objects.create(
        applicant=person, via="S", destination=text[:254], at=at, by=text[:150], reason=text[:500]
    )
    client = AuthorizedClient.objects.create(
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
    asked = SubscriptionRequest.objects.create(
        email=text[:254], requested_at=at, expires_at=at + timedelta(hours=1), address="192.0.2.1"
    )
    ConsentRecord.objects.create(
        authorized_client=client,
        request=asked,
        email=text[:254],
        act=ConsentRecord.Act.GIVEN,
        how=ConsentRecord.How.LINK,
        text_version="1",
        text=text,
        at=at,
        address="192.0.2.1",
    )


def _staff(text, number):
    group = Group.objects.create(name=f"{text[:120]}{number}")
    group.permissions.set(Permission.objects.filter(codename__startswith="view_")[: 1 + number % 5])
    user = User.objects.create(username=f"{text[:120]}{number}", first_name=text[:150], is_staff=True)
    user.groups.add(group)
    changes = [{"field": "name", "before": text, "after": [text, None]}, {"field": text, "before": {text: text}}]
    audit(user, "user.changed", at=timezone.now(), by=text[:150], reason=text[:500], changes=changes, note=text)


def _campaigns_and_providers(text, number, partner):
    at = timezone.now() - timedelta(minutes=number)
    campaign = Campaign.objects.create(
        type="boletin",
        subject=text[:180],
        text=text,
        html=text,
        profiles=[text[:100]],
        created_by=text[:150],
        created_at=at,
    )
    campaign.partners.add(partner)
    state = ProviderState.objects.create(name=f"{text[:90]}{number}", set_aside_at=at, reason=text[:300], by=text[:150])
    first = ProviderState.objects.order_by("name").first()
    for each in {state, first}:
        ProviderEvent.objects.create(
            provider=each.name, at=at, what=ProviderEvent.What.values[0], reason=text[:300], by=text[:150]
        )
