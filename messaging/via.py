"""Channels of a message. `messaging.models` names them too."""

from django.db import models


class Via(models.TextChoices):
    """Channels of a message, by the letters of contract 2."""

    SMS = "S", "SMS"
    WHATSAPP = "W", "WhatsApp"
    VOICE = "I", "Llamada (IVR)"
    EMAIL = "C", "Correo"
