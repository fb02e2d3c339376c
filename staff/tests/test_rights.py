"""Rights that the pages of users and roles offer."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils.text import camel_case_to_spaces

from staff.admin import in_words, permissions_that_open

pytestmark = pytest.mark.django_db


def test_each_right_opens_something_and_has_a_spanish_name():
    Group.objects.all().delete()
    offered = list(permissions_that_open())
    names = [in_words(each) for each in offered]
    assert {"Empresa: cambiar", "Mensaje: ver", "Evento: ver", "Credencial: crear", "Rol: borrar"} <= set(names)
    assert "support.export_person" in {f"{each.content_type.app_label}.{each.codename}" for each in offered}
    for each in offered:
        model = each.content_type.model_class()
        assert model is None or model._meta.verbose_name != camel_case_to_spaces(model.__name__), in_words(each)
    for closed in ("eventepoch", "prunedevents", "loginaddress", "sandboxmessage", "session", "permission"):
        assert closed not in {each.content_type.model for each in offered}, closed


def test_a_right_that_was_granted_can_be_taken_away():
    right = Permission.objects.get(codename="view_eventepoch")
    assert right not in permissions_that_open()
    Group.objects.create(name="Antiguo").permissions.add(right)
    assert right in permissions_that_open()
