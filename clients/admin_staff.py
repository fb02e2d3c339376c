"""Users and groups in the admin: who may do what, audited with before and after; no password, not even its hash.

The page of second factors is not here: django-otp's own pages show the secrets of everybody's factors, so they are
taken away.
"""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from clients.admin_audited import Audited, who
from clients.admin_lists import Page
from clients.models import audit

for _model in (User, Group, TOTPDevice, StaticDevice):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

RIGHTS = ("is_superuser", "user_permissions")
"""What only a superuser gives: who may make users must not make himself one."""


@admin.register(User)
class StaffAdmin(Audited, DjangoUserAdmin, Page):
    audited_as = "user"
    not_audited = frozenset({"password", "last_login"})
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = None
    list_display = ("username", "full_name", "email", "roles", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    search_fields = ("username", "first_name", "last_name", "email")
    search_help_text = "Usuario, nombre o correo."
    ordering = ("username",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Persona", {"fields": ("first_name", "last_name", "email")}),
        ("Acceso", {"fields": ("is_active", "is_staff", "groups")}),
        ("Permisos aparte", {"fields": RIGHTS, "classes": ("collapse",)}),
        ("Fechas", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return cast("QuerySet[User]", super().get_queryset(request).prefetch_related("groups"))

    @admin.display(description="nombre")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    # --- a superuser is a superuser's business ---

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else fields + RIGHTS

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes himself; who leaves is better made inactive."""
        is_other = obj is None or obj.pk != request.user.pk
        return is_other and super().has_delete_permission(request, obj) and self._may_touch(request, obj)

    def _may_touch(self, request: HttpRequest, user: User | None) -> bool:
        return user is None or not user.is_superuser or bool(request.user.is_superuser)

    # --- passwords ---

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        return _told_of_a_new_password(
            request, id, lambda: super(StaffAdmin, self).user_change_password(request, id, form_url)
        )


def _told_of_a_new_password(request: HttpRequest, key: Any, change: Callable[[], HttpResponse]) -> HttpResponse:
    """The audit says that it was changed, by whom; never what it was or is."""
    if request.method != "POST":
        return change()
    with transaction.atomic():
        before = User.objects.filter(pk=key).values_list("password", flat=True).first()
        answer = change()
        user = User.objects.filter(pk=key).first()
        if user is not None and user.password != before:
            audit(user, "user.password_changed", **who(request), usable=user.has_usable_password())
    return answer


_own_password_change = admin.site.password_change


def own_password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    return _told_of_a_new_password(request, request.user.pk, lambda: _own_password_change(request, extra_context))


# The site is unfold's and its pages are methods: what is put on the instance stands in their place.
admin.site.password_change = own_password_change  # type: ignore[method-assign]


@admin.register(Group)
class RoleAdmin(Audited, DjangoGroupAdmin, Page):
    audited_as = "group"
    actions = None
    list_display = ("name", "members")
    search_fields = ("name",)
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return cast("QuerySet[Group]", super().get_queryset(request).annotate(number=Count("user")))

    @admin.display(description="usuarios")
    def members(self, group: Any) -> int:
        return int(group.number)
