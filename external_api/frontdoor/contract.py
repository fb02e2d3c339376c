"""Interface of a contract: its access rules, its limits and its table of errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clients.errors import Refused

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of an answer in a contract's envelope; `code` is the error's name in the log."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    content_type: str = "application/json"


class Contract(Protocol):
    """One published contract: name, access, limits, envelope."""

    name: str
    """As in clients.models.Contract."""
    body_limit: int
    """Bytes."""
    elements: int
    """Brackets, colons and commas that a body may have outside of its strings: several times what it needs."""
    byte_order_mark: bool
    """Whether a body may begin with one."""
    credential_kinds: tuple[str, ...]
    error_media_type: str
    """Media type of an error."""

    def needs_credential(self) -> bool:
        """True where a call without a credential is an error."""

    def answer_to(self, error: Refused, view: "ContractView | None") -> Answer:
        """The contract's answer to an error; `view` is None where no view was reached."""
