"""Admin pages of campaigns: drafts, preview, test mail, and a confirmation page for each change of state.

The changes themselves are in `messaging.campaigns.lifecycle`."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, transaction
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from clients.admin.audit_mixin import Audited
from clients.admin.base import BoundedList, Page, actor, address
from clients.models import Partner
from messaging.admin.campaign_form import CampaignForm
from messaging.admin.campaign_steps import STEPS, Actor, Notice, Step
from messaging.campaigns import guard, lifecycle, rendering
from messaging.campaigns.lifecycle import Progress, WrongState
from messaging.models import Campaign

T = TypeVar("T")
State = Campaign.State
CHANGE = "messaging.change_campaign"
TOO_LATE = "La campaña ya no está en ese estado; no se cambió nada."


class PageWithProgress(BoundedList):
    """List with the progress of each campaign, counted in one query for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        page = list(self.result_list)
        begun = [campaign for campaign in page if has_begun(campaign)]
        counted = unless_timed_out(lambda: lifecycle.progress_by_campaign(begun)) or {}
        for campaign in page:
            campaign.counted = counted.get(campaign.pk)
        self.result_list = page


@admin.register(Campaign)
class CampaignAdmin(Audited, Page):
    """Page of campaigns. Drafts can be edited and deleted; all others can only be viewed and change their state."""

    audited_as = "campaign"
    not_audited = frozenset({"last_client_id", "fanned_out_at", "pause_reason", "restored_at"})
    form = CampaignForm
    actions = None
    list_per_page = 25
    list_max_show_all = 25
    list_display = ("subject", "state", "type", "audience_shown", "progress_shown", "scheduled_at", "created_by")
    list_filter = ("state", "type")
    date_hierarchy = "created_at"
    search_fields = ("subject",)
    search_help_text = "Asunto, o parte de él."
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("type", "subject", "is_advertising", "text", "html")}),
        ("Destinatarios", {"fields": ("partners", "profiles")}),
        ("Marcha", {"fields": ("state", "scheduled_at", "audience", "started_at", "finished_at")}),
        ("Origen", {"fields": ("created_by", "created_at")}),
    )
    readonly_fields = ("state", "scheduled_at", "audience", "started_at", "finished_at", "created_by", "created_at")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget
        kwargs["queryset"] = Partner.objects.filter(twin_of__isnull=True)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    # --- the list ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageWithProgress

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        return cast("QuerySet[Campaign]", super().get_queryset(request).prefetch_related("partners"))

    @admin.display(description="destinatarios")
    def audience_shown(self, campaign: Campaign) -> str:
        whom = ", ".join(partner.name for partner in campaign.partners.all()) or "todas las empresas"
        profiles = f" ({', '.join(f'«{each}»' for each in campaign.profiles)})" if campaign.profiles else ""
        number = "" if campaign.audience is None else f"{campaign.audience}: "
        return f"{number}{whom}{profiles}"

    @admin.display(description="avance")
    def progress_shown(self, campaign: Any) -> str:
        progress: Progress | None = campaign.counted
        if progress is None:
            return "—"
        return format_html(
            '<progress max="100" value="{}"></progress> {} %: {} enviados, {} fallidos, {} sin respuesta clara',
            progress.percent,
            progress.percent,
            progress.sent,
            progress.failed,
            progress.unclear,
        )

    # --- permissions: only a draft can be edited ---

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.state == State.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        return obj is not None and obj.state == State.DRAFT and super().has_delete_permission(request, obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Campaign | None:
        """The campaign, locked while a form is saved: it must not be scheduled while it is edited."""
        campaign = super().get_object(request, object_id, from_field)
        if campaign is not None and request.method == "POST":
            return Campaign.objects.select_for_update().filter(pk=campaign.pk).first()
        return cast("Campaign | None", campaign)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().change_view(request, object_id, form_url, extra_context)
        except PermissionDenied:
            if request.method != "POST" or not request.user.has_perm(CHANGE):
                raise
            messages.warning(request, "La campaña ya no es un borrador; no se guardó nada.")
            return HttpResponseRedirect(request.path)

    # --- saving ---

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        if not change:
            obj.created_by, obj.created_at = actor(request), timezone.now()
        super().save_model(request, obj, form, change)

    def audit_also(self, row: Campaign) -> dict[str, Any]:
        return {"subject": row.subject}

    def response_post_save_add(self, request: HttpRequest, obj: Campaign) -> HttpResponseRedirect:
        return back_to(obj)  # for the preview

    def response_post_save_change(self, request: HttpRequest, obj: Campaign) -> HttpResponseRedirect:
        return back_to(obj)

    # --- the page of one campaign ---

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            context.update(self._page_context(request, obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _page_context(self, request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
        text, html = rendering.preview(campaign)
        may = request.user.has_perm(CHANGE)
        return {
            "steps": [step for step in STEPS if may and campaign.state in step.sources],
            "preview_subject": rendering.preview_subject(campaign),
            "preview_text": text,
            "preview_html": html,
            **self._figures(request, campaign),
        }

    def _figures(self, request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
        is_over = campaign.state in (State.DONE, State.CANCELLED)
        return {
            "progress": unless_timed_out(lambda: lifecycle.progress(campaign)) if has_begun(campaign) else None,
            "feedback": guard.feedback_of(campaign) if has_begun(campaign) else None,
            "rows_of": rows_of(campaign) if request.user.has_perm("messaging.view_message") else {},
            "reach": None if is_over else unless_timed_out(lambda: lifecycle.count_audience(campaign)),
            "reach_by_partner": [] if is_over else unless_timed_out(lambda: reach_by_partner(campaign)),
            "is_over": is_over,
            "changes_by_itself": campaign.state in (State.SCHEDULED, State.SENDING, State.PAUSED),
        }

    def progress_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """The figures alone, for the page's own script. The header says when the rest of the page is out of date."""
        campaign = Campaign.objects.filter(pk=key).first()
        if campaign is None:
            raise Http404
        if not self.has_view_permission(request, campaign):
            raise PermissionDenied
        context = {"original": campaign, **self._figures(request, campaign)}
        answer = TemplateResponse(request, "admin/messaging/campaign/progress.html", context)
        answer.headers["Aval-State"] = campaign.state
        return answer

    def get_urls(self) -> list[URLPattern]:
        def view_of(step: Step) -> Any:
            return self.admin_site.admin_view(lambda request, key: self.step_view(request, key, step))

        figures = self.admin_site.admin_view(self.progress_view)
        return [
            path("<int:key>/avance/", figures, name="messaging_campaign_progress"),
            *(path(f"<int:key>/{step.slug}/", view_of(step), name=f"messaging_campaign_{step.slug}") for step in STEPS),
            *super().get_urls(),
        ]

    def step_view(self, request: HttpRequest, key: int, step: Step) -> HttpResponse:
        """Ask for confirmation of a step, then do it."""
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        campaign = Campaign.objects.filter(pk=key).first()
        if campaign is None:
            raise Http404
        if campaign.state not in step.sources:
            messages.warning(request, TOO_LATE)
            return back_to(campaign)
        staff = Actor(by=actor(request), address=address(request), at=timezone.now())
        form = step.form(campaign, staff, request.POST if request.method == "POST" else None)
        if request.method == "POST" and request.POST.get("confirmed") == "yes" and form.is_valid():
            try:
                notice = step.act(campaign, form.cleaned_data, staff)
            except WrongState:
                notice = Notice(messages.WARNING, TOO_LATE)
            messages.add_message(request, notice.level, notice.text)
            return back_to(notice.leads_to or campaign)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": step.label,
            "original": campaign,
            "step": step,
            "back": reverse("admin:messaging_campaign_change", args=[campaign.pk]),
            "form": form,
        }
        return TemplateResponse(request, "admin/messaging/campaign/step.html", context)


def back_to(campaign: Campaign) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:messaging_campaign_change", args=[campaign.pk]))


def has_begun(campaign: Campaign) -> bool:
    return campaign.state not in (State.DRAFT, State.SCHEDULED)


def rows_of(campaign: Campaign) -> dict[str, str]:
    """URL of the list of messages behind each figure of the progress."""
    messages_of = f"{reverse('admin:messaging_message_changelist')}?campaign={campaign.pk}"
    figures = {name: f"{messages_of}&state__in={','.join(states)}" for name, states in lifecycle.COUNTED_STATES.items()}
    return {"all": messages_of, **figures}


def reach_by_partner(campaign: Campaign) -> list[tuple[str, int]]:
    """Authorisations of each partner. A client authorised by two is counted for both and gets one message."""
    rows = lifecycle.audience(campaign).values_list("partner__name").annotate(number=Count("pk"))
    return list(rows.order_by("partner__name"))


def unless_timed_out(query: Callable[[], T]) -> T | None:
    """The result of a query; None when the database cancels it. A slow count must not fail the whole page."""
    try:
        with transaction.atomic():
            return query()
    except OperationalError:
        return None
