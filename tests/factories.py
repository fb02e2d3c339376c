"""Rows for tests, by factory-boy: each with every field that a row needs, and what a test names instead."""

from typing import Any

import factory
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone
from django.utils.text import slugify
from factory.django import DjangoModelFactory

from clients.models import Partner
from messaging.models import Message


class PartnerFactory(DjangoModelFactory):
    """Partner with all contracts; its slug follows from its name."""

    class Meta:
        model = Partner

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


class MessageFactory(DjangoModelFactory):
    """Message with a code by SMS that waits."""

    class Meta:
        model = Message

    kind = "verificacion"
    via = "S"
    recipient = "987654321"
    text = "x"
    state = "QUEUED"
    created_at = factory.LazyFunction(timezone.now)
    next_attempt_at = factory.SelfAttribute("created_at")


def browser(user: User, **environ: Any) -> Client:
    """Browser with a session of the user, after a complete login."""
    http = Client(**environ)
    http.force_login(user)
    return http


def staff_browser(*rights: str, roles: tuple[str, ...] = (), name: str = "eva", **fields: Any) -> Client:
    """Browser of a new staff member with these rights and roles, at 192.0.2.7."""
    user = StaffUserFactory(username=name, rights=rights, roles=roles, **fields)
    return browser(user, REMOTE_ADDR="192.0.2.7")
