"""Spans around calls to providers. Nothing is made unless `config.tracing` has set a maker."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from uuid import UUID

Maker = Callable[[str, Mapping[str, str]], AbstractContextManager[None]]
_makers: list[Maker] = []


def make_with(maker: Maker) -> None:
    """Make each span with `maker(name, attributes)` from now on."""
    _makers[:] = [maker]


def around_call(message_id: UUID, provider: str, via: str) -> AbstractContextManager[None]:
    """Span of one call to a provider. It holds ids and names of ours, never what was sent or to whom."""
    if not _makers:
        return nullcontext()
    return _makers[0]("provider.send", {"aval.message_id": str(message_id), "aval.provider": provider, "aval.via": via})
