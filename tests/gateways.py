"""Test double of a gateway."""

from messaging.gateways.base import Receipt


class FakeGateway:
    """Gateway with scripted answers that stores the messages it gets.

    An answer is returned, raised if it is an exception, or called with the message. After the last one every message
    is answered with `always`.
    """

    own_process = False

    def __init__(self, name, *answers, always=None):
        self.name = name
        self.answers = list(answers)
        self.always = always or Receipt("ref", "250 ok")
        self.got = []
        self.messages = []

    def send(self, message, secret):
        self.got.append((message.text_with(secret), message.id))
        self.messages.append(message)
        answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, Exception):
            raise answer
        return answer(message) if callable(answer) else answer
