"""Routing of URLs to contracts: /api/v1, /v1/api, /external, /partners/v1 and all below."""

from external_api.frontdoor.contract import Contract
from external_api.informaperu.contract import INFORMAPERU
from external_api.nopasanada.contract import NOPASANADA
from external_api.partners.contract import PARTNERS
from external_api.registry.contract import REGISTRY

CONTRACT_PREFIXES: dict[str, Contract] = {
    "/v1/api": INFORMAPERU,
    "/api/v1": NOPASANADA,
    "/external": REGISTRY,
    "/partners/v1": PARTNERS,
}


def prefix_of(path: str) -> str:
    """Prefix of the contract that a path belongs to; empty: of none."""
    for prefix in CONTRACT_PREFIXES:
        if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
            return prefix
    return ""


def contract_of(path: str) -> Contract | None:
    return CONTRACT_PREFIXES.get(prefix_of(path))
