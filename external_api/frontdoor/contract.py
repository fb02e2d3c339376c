"""What a contract must say so that the front door can speak its words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clients.errors import Refused

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of an answer in a contract's envelope; `code` is the refusal's name in the log."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""


class Contract(Protocol):
    """One published contract: its name, its door, its envelope."""

    name: str
    """As in clients.models.Contract."""
    body_limit: int
    """Bytes."""
    elements: int
    """Brackets, colons and commas that a body may have outside of its strings: several times what it needs."""
    credential_kinds: tuple[str, ...]

    def needs_credential(self) -> bool:
        """Whether a call without one is refused."""

    def refuse(self, refusal: Refused, view: "ContractView | None") -> Answer:
        """The contract's words for a refusal; `view` is None where no view was reached."""
