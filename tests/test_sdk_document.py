"""Python client against the OpenAPI document: no operation without a call, no key without its type, and the reverse."""

import importlib
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import httpx
import pytest
from aval_client import Aval

from testkit.api_document import (
    ALWAYS_TYPED,
    SHAPES,
    WITHOUT_TYPE,
    event_data_keys,
    nullable_of,
    objects,
    properties_of,
    required_of,
    uncalled,
    words_of,
)

MODULES = ("informaperu", "nopasanada", "partners", "registry", "staff")
NOT_DOCUMENTED = {"WebhookEvent", "EventData"}
"""Types of what the document does not describe: a body that we send, and what it leaves open."""


def types() -> dict[str, Any]:
    modules = [importlib.import_module(f"aval_client.shapes.{name}") for name in MODULES]
    return {name: found for module in modules for name, found in vars(module).items() if is_typeddict(found)}


def test_there_is_a_call_for_each_operation() -> None:
    made: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        made.append((request.method, request.url.path))
        return httpx.Response(200, json={"events": [], "next": "c", "up_to_date": True})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        aval = Aval("http://127.0.0.1:1", token="t", jwt="j", http=http)
        call_everything(aval)
    assert uncalled(made) == set()
    assert uncalled(made[1:]) | uncalled(made[:-1]) != set(), "one that is missing is found"


def call_everything(aval: Aval) -> None:
    aval.nopasanada.alta("u", [])
    aval.informaperu.register({})
    aval.informaperu.request_token("1", "C")
    aval.informaperu.verify("1", "A1B2")
    aval.informaperu.cancel("1")
    aval.informaperu.expire("1")
    aval.informaperu.cooldown("1", "C")
    aval.informaperu.login("u", "p")
    aval.informaperu.status()
    staff = aval.staff("s")
    staff.clients()
    staff.client("1")
    staff.messages()
    aval.registry.register({})
    aval.partners.me()
    aval.partners.usage()
    aval.partners.message("1")
    aval.partners.verification("1")
    assert list(aval.events(follow=False)) == []
    aval.twin.keys()
    aval.twin.advance_clock("PT4H")
    aval.twin.reset()
    aval.twin.messages()
    webhooks = aval.webhooks
    webhooks.create("https://x")
    webhooks.list()
    webhooks.get("1")
    webhooks.update("1")
    webhooks.delete("1")
    webhooks.test("1")
    webhooks.rotate("1")
    webhooks.replay("1", deliveries=[])
    webhooks.deliveries("1")
    webhooks.delivery("1", "2")


def test_each_object_has_a_type_and_each_type_its_object() -> None:
    assert objects() == SHAPES.keys() | WITHOUT_TYPE.keys()
    assert {name for name, _ in SHAPES.values()} | NOT_DOCUMENTED == types().keys()


@pytest.mark.parametrize("name", SHAPES)
def test_a_type_has_the_keys_of_its_object(name: str) -> None:
    shape = types()[SHAPES[name][0]]
    assert shape.__required_keys__ | shape.__optional_keys__ == properties_of(name)
    assert shape.__required_keys__ == required_of(name)


@pytest.mark.parametrize("name", SHAPES)
def test_a_type_has_the_words_of_each_closed_list(name: str) -> None:
    members = members_of(types()[SHAPES[name][0]])
    for key, words in words_of(name).items():
        typed = {word for each in members[key] if get_origin(each) is Literal for word in get_args(each)}
        assert typed == words or (not typed and key not in ALWAYS_TYPED), key


@pytest.mark.parametrize("name", SHAPES)
def test_a_type_says_which_values_may_be_null(name: str) -> None:
    members = members_of(types()[SHAPES[name][0]])
    assert {key for key, each in members.items() if type(None) in each} == nullable_of(name)


def test_the_data_of_an_event_has_the_keys_of_the_guide() -> None:
    assert event_data_keys() == types()["EventData"].__optional_keys__


def members_of(shape: Any) -> dict[str, tuple[Any, ...]]:
    """Types of each value of a typed dictionary; more than one for a union."""
    hints = get_type_hints(shape)
    return {key: get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,) for key, hint in hints.items()}
