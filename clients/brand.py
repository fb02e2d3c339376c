"""Brand of a partner: the name under which its clients get codes and bulletins."""

from django.core.exceptions import ValidationError
from django.db import models

MAX_LENGTH = 20
"""Characters; it stands in an SMS of 160 with the code and the link of an app."""
_MASK = "•"
"""Stands for the code in a stored text (`messaging.gateways.base.MASK`)."""


def validate_brand(text: str) -> None:
    """Raises ValidationError for control characters, line breaks and the mask of codes."""
    if not text.isprintable() or _MASK in text:
        raise ValidationError("Solo puede tener letras, dígitos, espacios y signos comunes.")
    if not any(character.isalnum() for character in text):
        raise ValidationError("Debe tener al menos una letra o un dígito.")


def brand_field() -> models.CharField:
    """Field of a partner; empty: the installation's own name (BRAND).

    The database has the default too, for processes of a version that does not know the column.
    """
    return models.CharField(
        "nombre en los mensajes",
        max_length=MAX_LENGTH,
        blank=True,
        default="",
        db_default="",
        validators=[validate_brand],
        help_text="Hasta 20 caracteres. Lo leen sus clientes en los códigos, y como remitente de sus correos. "
        "Vacío: el de la instalación (BRAND). En un SMS, las letras que este no tiene se cambian por otras.",
    )
