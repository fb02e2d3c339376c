"""Filter for numbers in tables."""

from django import template

register = template.Library()


@register.filter
def thousands(value: int) -> str:
    """12,345: a comma between thousands, as in Peru."""
    return f"{value:,}"
