"""Permissions of the desk. It has no table: the desk reads the rows of other apps."""

from django.db import models


class Desk(models.Model):
    """Permissions without a table."""

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
