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


def contract_of(path: str) -> Contract | None:
    for prefix, contract in CONTRACT_PREFIXES.items():
        if path == prefix or path.startswith(prefix + "/"):
            return contract
    return None
