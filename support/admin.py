"""The audit in the admin, found also by the person it is about: only the desk knows which rows one person has."""

from django.contrib import admin

from clients.admin_audit import AuditEntryAdmin
from clients.models import AuditEntry
from support.people import search


@admin.register(AuditEntry)
class AuditOfPeopleAdmin(AuditEntryAdmin):
    def ids_of_a_person(self, term: str) -> list[str]:
        """A name has no index, and a word may be the name of a member of staff: only what holds a digit or an @."""
        if not any(letter.isdigit() or letter == "@" for letter in term):
            return []
        rows = [row for person in search(term) for row in (*person.applicants, *person.authorized, *person.external)]
        return [str(row.pk) for row in rows]
