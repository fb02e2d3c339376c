"""Texts of consent. A change needs a new VERSION: the old text stays in the evidence.

Not legal advice; what the laws ask for is in the comments beside each sentence.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

VERSION = "2026-03"

_PARAGRAPHS = (
    # Ley 29733, art. 13: free, prior, express, informed and unequivocal; Ley 32323: asked for and consented expressly
    "Acepto, de manera libre, previa, expresa e informada, recibir boletines y alertas de {whom} en el correo {email}.",
    # Ley 28493, arts. 5 and 6: the word PUBLICIDAD in the subject, the sender's name, a working way out
    "Los boletines son publicidad: cada uno lleva la palabra PUBLICIDAD en el asunto y el nombre de la empresa que lo"
    " envía (Ley 28493). Las alertas son avisos de esas empresas.",
    "Puedo retirar esta aceptación cuando quiera, gratis y sin dar motivos, con el enlace de baja que trae cada"
    " mensaje. Los envíos se detienen de inmediato.",
    # Ley 29733, art. 18: who, what for, how long, with what rights
    "Mi correo se usa solo para enviarme esos mensajes, mientras dure mi suscripción. {brand} los envía por encargo de"
    " cada empresa y guarda la fecha, la dirección de Internet y este texto como prueba de mi aceptación.",
    "La Ley 29733, de protección de datos personales, me da los derechos de acceso, rectificación, cancelación y"
    " oposición. Son gratuitos y los ejerzo ante cada empresa.",
)

_WITHDRAWAL = "Ya no quiero recibir boletines ni alertas de {partner} en este correo."


@dataclass(frozen=True)
class Consent:
    """A text as one person reads it."""

    version: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)

    @property
    def digest(self) -> str:
        """Goes with the form and comes back: the text stored is the one read, whatever was deployed in between."""
        return hashlib.sha256(f"{self.version}\n{self.text}".encode()).hexdigest()


@dataclass(frozen=True)
class Offer:
    """Content of the page of a confirmation link. `choices`: (id, name) of each partner, by name."""

    email: str
    choices: tuple[tuple[int, str], ...]
    consent: Consent

    @property
    def partners(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.choices)

    @property
    def has_choice(self) -> bool:
        return len(self.choices) > 1


def consent_to(partners: Sequence[str], *, email: str, brand: str) -> Consent:
    """The text for these partners, in their order. Of several, the person accepts those that they choose."""
    whom = partners[0] if len(partners) == 1 else f"las empresas que elija entre estas: {'; '.join(partners)},"
    values = {"whom": whom, "email": email, "brand": brand}
    return Consent(VERSION, tuple(paragraph.format(**values) for paragraph in _PARAGRAPHS))


def with_choice(consent: Consent, chosen: Sequence[str]) -> Consent:
    """The text as it was read, and what the person chose."""
    return Consent(consent.version, (*consent.paragraphs, f"Elegí: {'; '.join(chosen)}."))


def withdrawal_from(partner: str | None) -> Consent:
    """The text above a button of the unsubscribe page; None: all partners."""
    return Consent(VERSION, (_WITHDRAWAL.format(partner=partner or "ninguna empresa"),))
