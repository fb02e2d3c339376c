"""Form of a campaign: profiles chosen from those that clients have, and texts that can be sent as they are."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from clients.identity.names import normalised
from messaging.campaigns import page, placeholders, profiles
from messaging.models import Campaign

SEARCH_FROM = 12
"""Profiles from which on the page has a field to narrow them."""


class ProfileChoice(forms.MultipleChoiceField):
    """Profiles to tick."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, found: list[tuple[str, int]], chosen: list[str]) -> None:
        names = [name for name, _ in found]
        gone = [(name, f"{name} (ya nadie lo tiene)") for name in chosen if name not in names]
        labels = [(name, f"{name} ({number} {'cliente' if number == 1 else 'clientes'})") for name, number in found]
        every = [*labels, *gone]
        super().__init__(choices=every, required=False)
        self.help_text = "Ninguno: todos." if every else "Todavía no hay clientes autorizados."
        if len(every) >= SEARCH_FROM:
            self.widget.attrs["data-search"] = "Buscar un perfil"

    def to_python(self, value: Any) -> list[str]:
        return [each for each in super().to_python(value) if each]


class ProfileLines(forms.CharField):
    """Profiles to write, one a line: there are too many to tick. A comma is a part of a profile."""

    def __init__(self, chosen: list[str]) -> None:
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}))
        self.help_text = "Uno por línea, como los escribe la empresa. Ninguno: todos."
        self.was = chosen

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        lines = [normalised(line) for line in str(super().clean(value)).splitlines()]
        found = list(dict.fromkeys(line for line in lines if line))
        unknown = [each for each in profiles.unknown(found) if each not in self.was]
        if unknown:
            raise forms.ValidationError(f"Ningún cliente tiene el perfil {', '.join(f'«{each}»' for each in unknown)}.")
        return found


class CampaignForm(forms.ModelForm):
    class Meta:
        model = Campaign
        fields = "__all__"  # noqa: DJ007  the page's fieldsets say which
        help_texts = {
            "subject": "Con {{nombre|cliente}} va el nombre de cada cliente, o «cliente» si no lo tiene.",
            "text": "{{nombre|cliente}}: el nombre de cada cliente, o «cliente» si no lo tiene.",
            "html": "Un fragmento o una página completa; a un fragmento se le pone título, idioma y ancho de celular.",
        }

    class Media:
        js = ("aval/search_choices.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "profiles" in self.fields:
            chosen = list(self.instance.profiles or [])
            found = profiles.existing()
            own = ProfileLines(chosen) if found is None else ProfileChoice(found, chosen)
            own.label = "Perfiles"
            self.fields["profiles"] = own

    def clean_profiles(self) -> list[str]:
        return list(self.cleaned_data["profiles"])

    def clean_html(self) -> str:
        typed: str = self.cleaned_data["html"]
        unclosed = page.unclosed_in(typed)
        if unclosed:
            what = {"<!--": "un comentario (<!--)", "<": "una etiqueta"}.get(unclosed, unclosed)
            raise forms.ValidationError(f"El HTML termina dentro de {what}: ciérrelo, o lo que sigue no se vería.")
        return typed

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("subject", "text", "html"):
            unknown = placeholders.unknown_in(data.get(name) or "")
            if unknown:
                listed = ", ".join(f"{{{{{each}}}}}" for each in unknown)
                self.add_error(name, f"No se conoce {listed}. Use {{{{nombre}}}} o {{{{nombre|cliente}}}}.")
        return data
