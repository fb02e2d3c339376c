"""Outages that agents should know of: providers that are set aside now, by via."""

from django.db.models import QuerySet
from django.utils.timezone import localtime

from messaging.gateways import gateways_for
from messaging.models import ProviderState, Via

MOST = 10
"""Lines shown; a via has a few providers."""


def outages() -> list[str]:
    """One Spanish sentence for each provider that is set aside, with the vias that use it."""
    states = {state.name: state for state in _set_aside()[:MOST]}
    if not states:
        return []
    vias: dict[tuple[str, str], list[str]] = {}
    for via in Via:
        names = [gateway.name for gateway in gateways_for(via)]
        instead = next((name for name in names if name not in states), "")
        for name in names:
            if name in states:
                vias.setdefault((name, instead), []).append(via.label)
    return [_sentence(labels, states[name], instead) for (name, instead), labels in vias.items()]


def _set_aside() -> QuerySet[ProviderState]:
    return ProviderState.objects.filter(set_aside_at__isnull=False).order_by("set_aside_at")


def _sentence(vias: list[str], state: ProviderState, instead: str) -> str:
    since = localtime(state.set_aside_at)
    then = f"sale por {instead}" if instead else "no hay otro proveedor: puede demorar o no llegar"
    return f"{', '.join(vias)}: {state.name} apartado desde el {since:%d/%m a las %H:%M}; {then}."
