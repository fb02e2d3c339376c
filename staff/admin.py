"""Users and groups in the admin. Changes are audited with the values before and after, without passwords or their
hashes.

The pages of django-otp are unregistered: they show the secrets of everybody's second factors.
"""

from collections.abc import Callable
from typing import Any, cast

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Count, Model, Q, QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from clients import hashing
from clients.admin.audit_mixin import Audited, who
from clients.admin.base import Page
from clients.models import audit
from staff import authentication, passwords, second_factor
from staff.middleware import MUST_CHANGE

for _model in (User, Group, TOTPDevice, StaticDevice):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

RIGHTS = ("is_superuser", "user_permissions")
"""Rights that only a superuser grants: a user who may create users must not make themselves a superuser."""

VERBS = {"add": "crear", "change": "cambiar", "delete": "borrar", "view": "ver"}


def in_words(permission: Permission) -> str:
    """Spanish name of a permission: «Empresa: cambiar» instead of Django's «Can change partner». Our own permissions
    have Spanish names."""
    verb, _, _ = permission.codename.partition("_")
    model = permission.content_type.model_class()
    kind = str(model._meta.verbose_name) if model else permission.content_type.model
    is_django_s = permission.codename == f"{verb}_{permission.content_type.model}"
    return f"{capfirst(kind)}: {VERBS.get(verb, verb) if is_django_s else permission.name}"


class PermissionsField(ModelMultipleChoiceField):
    def label_from_instance(self, permission: Permission) -> str:
        return in_words(permission)


class Rights:
    """Mixin for pages with permissions to tick: only those that open something, in Spanish, with their relations
    loaded."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("permissions", "user_permissions"):
            return PermissionsField(
                label=capfirst(db_field.verbose_name),
                queryset=permissions_that_open(),
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
                help_text=db_field.help_text,
            )
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


def permissions_that_open() -> QuerySet[Permission]:
    """Permissions that can be ticked, and those already granted: otherwise saving the page would remove them."""
    closed = ContentType.objects.get_for_models(*_models_without_page()).values()
    opens = ~Q(content_type__in=closed) | Q(group__isnull=False) | Q(user__isnull=False)
    found = Permission.objects.filter(opens).select_related("content_type").distinct()
    return found.order_by("content_type__app_label", "content_type__model", "codename")


def _models_without_page() -> list[type[Model]]:
    """Models that no page lists or shows, of libraries and of ours: Django makes permissions for each of them."""
    pages = admin.site._registry
    shown = {*pages, *(inline.model for page in pages.values() for inline in page.inlines)}
    return [each for each in apps.get_models() if each not in shown and not each._meta.permissions]


def _may_reset_factor(actor: User, user: User) -> bool:
    try:
        second_factor.check_may_reset(actor, user)
    except second_factor.NotAllowed:
        return False
    return second_factor.device_of(user) is not None


@admin.register(User)
class StaffAdmin(Rights, Audited, DjangoUserAdmin, Page):
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
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password_status")}),
        ("Persona", {"fields": ("first_name", "last_name", "email")}),
        ("Acceso", {"fields": ("is_active", "is_staff", "factor_status", "groups")}),
        ("Permisos aparte", {"fields": RIGHTS, "classes": ("collapse",)}),
        ("Fechas", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("password_status", "factor_status", "last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return cast("QuerySet[User]", super().get_queryset(request).prefetch_related("groups"))

    @admin.display(description="nombre")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description="contraseña")
    def password_status(self, user: User) -> str:
        """Status of the password. Django's own field shows the first characters of salt and hash, which nobody should
        see."""
        status = "Tiene." if user.has_usable_password() else "No tiene: no puede ingresar."
        if passwords.must_change(user):
            status = "La escribió otra persona: debe cambiarla al ingresar."
        return format_html('{} <a class="text-link" href="../password/">Cambiar…</a>', status)

    @admin.display(description="segundo factor")
    def factor_status(self, user: User) -> str:
        device = second_factor.device_of(user)
        return f"Activo desde el {localtime(device.created_at):%d/%m/%Y}." if device else "No tiene."

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Adds the link to reset the user's second factor, for staff who may: the user lost their phone, and this is
        their page."""
        user = kwargs.get("obj")
        context["may_reset_factor"] = user is not None and _may_reset_factor(cast(User, request.user), user)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    # --- only a superuser changes a superuser ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        return [part for part in shown if request.user.is_superuser or part[1]["fields"] != RIGHTS]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may delete themselves. Users who leave are better deactivated."""
        is_other = obj is None or obj.pk != request.user.pk
        return is_other and super().has_delete_permission(request, obj) and self._may_touch(request, obj)

    def _may_touch(self, request: HttpRequest, user: User | None) -> bool:
        return user is None or not user.is_superuser or bool(request.user.is_superuser)

    # --- passwords ---

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change and obj.has_usable_password():
            passwords.chosen_by_other(obj, at=timezone.now())

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        return _audit_new_password(
            request, id, lambda: super(StaffAdmin, self).user_change_password(request, id, form_url)
        )


def _audit_new_password(request: HttpRequest, key: Any, change: Callable[[], HttpResponse]) -> HttpResponse:
    """Audit entry for a changed password: that it was changed and by whom, never the password."""
    if request.method != "POST":
        return change()
    with transaction.atomic():
        before = User.objects.filter(pk=key).values_list("password", flat=True).first()
        answer = change()
        user = User.objects.filter(pk=key).first()
        if user is not None and user.password != before:
            audit(user, "user.password_changed", **who(request), usable=user.has_usable_password())
            _note_who_chose_it(request, user)
    return answer


def _note_who_chose_it(request: HttpRequest, user: User) -> None:
    """A password that a colleague typed must be changed by its user; one of their own choice need not."""
    if user.pk != request.user.pk and user.has_usable_password():
        passwords.chosen_by_other(user, at=timezone.now())
    else:
        passwords.chosen_by_user(user)
        request.session.pop(MUST_CHANGE, None)


_own_password_change = admin.site.password_change


def own_password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Change of the own password. The old password counts as a try, so that it cannot be guessed in a session left
    open."""

    def change() -> HttpResponse:
        return _audit_new_password(request, request.user.pk, lambda: _own_password_change(request, extra_context))

    if MUST_CHANGE in request.session:
        extra_context = {**(extra_context or {}), "is_first_password": True}
    if request.method != "POST":
        return change()
    if request.POST.get("new_password1") and request.POST.get("new_password1") == request.POST.get("old_password"):
        messages.error(request, "La contraseña nueva es la misma que la anterior: escriba otra.")
        return HttpResponseRedirect(request.path)
    name, at = request.user.get_username(), timezone.now()
    with hashing.slot(), authentication.one_try(request, name, at=at):
        answer = change()
        form = (getattr(answer, "context_data", None) or {}).get("form")
        if form is not None and "old_password" in form.errors:
            authentication.count_failure(request, name, at=at)
    return answer


# These pages are methods of unfold's site; an attribute of the instance overrides them.
admin.site.password_change = own_password_change  # type: ignore[method-assign, assignment]


@admin.register(Group)
class RoleAdmin(Rights, Audited, DjangoGroupAdmin, Page):  # type: ignore[misc]
    audited_as = "group"
    actions = None
    list_display = ("name", "members")
    search_fields = ("name",)
    search_help_text = "Nombre del rol."
    ordering = ("name",)
    filter_horizontal = ()
    fields = ("name", "permissions")
    readonly_fields = ("rights",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return cast("QuerySet[Group]", super().get_queryset(request).annotate(number=Count("user")))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Staff who may only view see the permissions by the same names."""
        return ("name", "permissions" if self._may_tick(request, obj) else "rights")

    def _may_tick(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    @admin.display(description="permisos")
    def rights(self, group: Group) -> str:
        return "\n".join(in_words(each) for each in permissions_that_open().filter(group=group))

    @admin.display(description="usuarios")
    def members(self, group: Any) -> int:
        return int(group.number)
