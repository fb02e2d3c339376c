"""View of the one endpoint of contract 3: parse, call the domain, answer.

Its order: docs/contracts/registry.md, Order of checks.
"""

from django.http import HttpRequest

from clients.external_clients import Details, register
from external_api.frontdoor import limits
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.fields import checked
from external_api.frontdoor.views import ContractView, UnknownPath
from external_api.registry.contract import REGISTRY, registered
from external_api.registry.serializers import Registration


class RegistryView(ContractView):
    contract = REGISTRY
    action = "registry"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> Answer:
        assert self.credential is not None, "initial() refuses a call without a credential"  # noqa: S101  narrows the type
        fields = checked(Registration, self.body)
        limits.check_room(self.caller)
        self.subject = client = register(
            self.credential,
            fields.pop("client_id"),
            Details(**fields),
            request_id=self.request_id,
            address=self.address,
            at=self.at,
        )
        return registered(client, request_id=self.request_id)


class NotFoundView(UnknownPath):
    contract = REGISTRY
