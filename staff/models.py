"""Rows beside Django's users: passwords that somebody else has chosen, and mails to be sent for a forgotten one."""

from django.contrib.auth.models import User
from django.db import models


class FirstPassword(models.Model):
    """Mark of a password that was typed by somebody else, who therefore knows it. It opens nothing but its change."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="first_password")
    since = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}"


class ResetRequest(models.Model):
    """A mail with a link to set a new password, to be sent; the row is deleted when a worker takes it.

    A row is written for every name that was typed, with a user or without: the time of the answer must not tell.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    asked_at = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.asked_at:%d/%m/%Y %H:%M:%S}"
