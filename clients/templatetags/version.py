"""Template tag for the version of Aval, at the foot of the admin."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def aval_version() -> str:
    return str(settings.AVAL_VERSION)
