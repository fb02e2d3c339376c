"""Two forms of the document, from one source of shapes.

The strict form is for tests: objects have no undocumented key, an error's schema is that of its status, everything
stands in place. The published form is for partners' programs: objects are open, because a key that is added later must
not break a strict client, and what is used by name is a component, because generators of clients take names from there.
"""

from collections.abc import Mapping
from typing import Any

Part = dict[str, Any]


class Named(dict[str, Any]):
    """Schema or header that is a component in the published form, and stands in place in the strict one.

    `general` is the published form where it says less: one schema for all statuses, not one for each.
    """

    def __init__(self, name: str, strict: Part, *, general: Part | None = None, kind: str = "schemas") -> None:
        super().__init__(strict)
        self.name = name
        self.kind = kind
        self.general = strict if general is None else general


def published(document: Part) -> Part:
    """The published form of a strict document. Raises ValueError where one name stands for two different parts."""
    components: dict[str, dict[str, Part]] = {"schemas": {}, "headers": {}}
    opened: Part = _opened(document, components)
    sorted_components = {kind: dict(sorted(named.items())) for kind, named in components.items()}
    opened["components"] = {**sorted_components, **opened.get("components", {})}
    return opened


def _opened(part: Any, components: Mapping[str, dict[str, Part]]) -> Any:
    if isinstance(part, Named):
        return _reference(part, components)
    if isinstance(part, dict):
        return {key: _opened(each, components) for key, each in part.items() if not _closes(key, each)}
    if isinstance(part, list | tuple):
        return [_opened(each, components) for each in part]
    return part


def _closes(key: str, value: Any) -> bool:
    return key == "additionalProperties" and value is False


def _reference(named: Named, components: Mapping[str, dict[str, Part]]) -> Part:
    title = {"title": named.name} if named.kind == "schemas" else {}
    made = {**title, **_opened(dict(named.general), components)}
    if components[named.kind].setdefault(named.name, made) != made:
        raise ValueError(f"{named.name} is the name of two different {named.kind}")
    return {"$ref": f"#/components/{named.kind}/{named.name}"}
