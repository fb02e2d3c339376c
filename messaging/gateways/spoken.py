"""TwiML for voice calls: reads a code aloud in Spanish, one character at a time.

Letters that sound alike on a telephone are read with a word that begins with them (B de burro, V de vaca).
"""

from twilio.twiml.voice_response import VoiceResponse

from messaging.gateways.base import MASK

LANGUAGE = "es-MX"
PAUSE = 1
"""Seconds between two characters, enough to write one down."""

NAMES = {
    "0": "cero",
    "1": "uno",
    "2": "dos",
    "3": "tres",
    "4": "cuatro",
    "5": "cinco",
    "6": "seis",
    "7": "siete",
    "8": "ocho",
    "9": "nueve",
    "A": "A de árbol",
    "B": "B de burro",
    "C": "C de casa",
    "D": "D de dedo",
    "E": "E de elefante",
    "F": "F de foca",
    "G": "G de gato",
    "H": "H de hoja",
    "J": "J de jarra",
    "K": "K de kilo",
    "M": "M de mamá",
    "N": "N de nube",
    "P": "P de papá",
    "Q": "Q de queso",
    "R": "R de rosa",
    "S": "S de sol",
    "T": "T de taza",
    "V": "V de vaca",
    "W": "doble ve",
    "X": "equis",
    "Y": "i griega",
    "Z": "Z de zapato",
}
"""Characters of a code (Crockford's base 32 has no I, L, O, U)."""


def twiml(text: str, secret: str | None, *, voice: str) -> str:
    """TwiML that reads the text, with the code in the place of MASK, one character at a time."""
    call = VoiceResponse()
    pieces = text.split(MASK) if secret else [text]
    for number, piece in enumerate(pieces):
        if number:
            _spell(call, secret or "", voice)
        if any(letter.isalnum() for letter in piece):
            call.say(piece.strip(" .,"), language=LANGUAGE, voice=voice)
            call.pause(length=PAUSE)
    return str(call)


def _spell(call: VoiceResponse, code: str, voice: str) -> None:
    for character in code:
        call.say(NAMES.get(character, character), language=LANGUAGE, voice=voice)
        call.pause(length=PAUSE)
