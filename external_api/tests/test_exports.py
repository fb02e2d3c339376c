"""The turn to export comes back whatever becomes of the answer."""

import pytest

from external_api.frontdoor.exports import Export, stream
from external_api.frontdoor.refusals import Unavailable

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = "SELECT row_to_json(each) FROM (SELECT generate_series(1, 3) AS n) AS each"


def body(ended, sql=ROWS):
    return stream(Export(sql), head=b"[", tail=lambda count: b"]%d" % count, done=lambda: ended.append(True))


def is_free():
    try:
        Export(ROWS).give_up()
    except Unavailable:
        return False
    return True


def test_it_is_read_to_its_end():
    ended = []
    assert b"".join(body(ended)).endswith(b"]3")
    assert (ended, is_free()) == ([True], True)


def test_the_client_goes_away_in_the_middle():
    ended = []
    answer = body(ended)
    reading = iter(answer)
    assert next(reading) == b"["
    assert not is_free()
    answer.close()
    answer.close()
    assert (ended, is_free()) == ([True], True)


def test_nobody_begins_to_read_it():
    ended = []
    body(ended).close()
    assert (ended, is_free()) == ([True], True)


def test_it_breaks():
    ended = []
    with pytest.raises(Exception, match="division by zero"):
        b"".join(body(ended, ROWS.replace("(1, 3)", "(0, 3)") + " WHERE 1 / n > 0"))
    assert (ended, is_free()) == ([True], True)
