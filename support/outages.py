"""Outages that agents should know of: providers that are set aside now, by via."""

from django.db.models import QuerySet
from django.utils.timezone import localtime

from messaging.gateways import gateways_for
from messaging.models import ProviderState, Via

MOST = 10
"""Lines shown; a via has a few providers."""


def outages() -> list[str]:
    """One Spanish sentence for each provider that is set aside, of a via that uses it."""
    states = {state.name: state for state in _set_aside()[:MOST]}
    if not states:
        return []
    found = []
    for via in Via:
        names = [gateway.name for gateway in gateways_for(via)]
        left = [name for name in names if name not in states]
        found += [_sentence(via, states[name], left) for name in names if name in states]
    return found


def _set_aside() -> QuerySet[ProviderState]:
    return ProviderState.objects.filter(set_aside_at__isnull=False).order_by("set_aside_at")


def _sentence(via: Via, state: ProviderState, left: list[str]) -> str:
    since = localtime(state.set_aside_at)
    instead = f"sale por {left[0]}" if left else "no hay otro proveedor: puede demorar o no llegar"
    return f"{via.label}: {state.name} apartado desde el {since:%d/%m a las %H:%M}; {instead}."
