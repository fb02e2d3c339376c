"""No rows of its own: the desk reads the other rooms'. Here are only the words of what may be done at it."""

from django.db import models


class Desk(models.Model):
    """Permissions, and no table."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("use_desk", "Usar la mesa de soporte"),
            ("act_at_desk", "Actuar desde la mesa de soporte"),
            ("unmask_at_desk", "Ver destinos completos en la mesa de soporte"),
            ("export_person", "Exportar los datos de una persona"),
            ("erase_person", "Borrar los datos de una persona"),
        ]
        verbose_name = "mesa de soporte"

    def __str__(self) -> str:
        return "mesa de soporte"
