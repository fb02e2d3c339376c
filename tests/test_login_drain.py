"""Ten threads that post wrong passwords with ever new names do not delay partners. The limit for an address is off, as
attackers could use many."""

import threading
from itertools import count

import httpx

from testkit.stack import Stack

POSTERS = 10
CALLS = 34


def test_partners_are_answered_while_passwords_are_guessed(stack: Stack) -> None:
    stop, names, seen = threading.Event(), count(), list[int]()

    def guess() -> None:
        with httpx.Client(base_url=stack.url, timeout=30) as http:
            while not stop.is_set():
                body = {"username": f"nombre{next(names)}", "password": "una-clave-errada"}
                seen.append(http.post("/v1/api/auth/login", json=body).status_code)

    posters = [threading.Thread(target=guess) for _ in range(POSTERS)]
    for each in posters:
        each.start()
    try:
        answers = [stack.send(stack.asking(stack.register(), stack.phone())).status_code for _ in range(CALLS)]
    finally:
        stop.set()
        for each in posters:
            each.join()
    assert answers == [200] * CALLS
    assert set(seen) == {401, 429}
    assert seen.count(429) > seen.count(401), "two hashes at once in a process"
