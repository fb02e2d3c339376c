"""Transfer of the OpenAPI document: compressed for who takes it, and not sent again to who has it."""

import gzip
import json

import pytest
from django.test import Client

WHERE = "/referencia/openapi.json"


@pytest.mark.parametrize(
    "accepted", ["gzip", "gzip, deflate, br", "*", "br;q=1.0, gzip;q=0.8", "GZIP", "identity, gzip;q=0.001"]
)
def test_who_takes_gzip_gets_a_tenth(accepted):
    plain = Client().get(WHERE)
    packed = Client().get(WHERE, headers={"Accept-Encoding": accepted})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 5
    assert packed["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0", "*;q=0", "identity", "gzip;q=0, *"])
def test_who_does_not_gets_the_text(accepted):
    answer = Client().get(WHERE, headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer
    assert json.loads(answer.content)["openapi"]
    assert answer["Vary"] == "Accept-Encoding"


def test_who_has_it_is_told_that_it_has_not_changed():
    tag = Client().get(WHERE)["ETag"]
    again = Client().get(WHERE, headers={"If-None-Match": tag, "Accept-Encoding": "gzip"})
    assert (again.status_code, again.content) == (304, b"")
    assert Client().get(WHERE, headers={"If-None-Match": '"other"'}).status_code == 200
