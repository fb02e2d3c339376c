"""Serializers of contract 2's bodies, with our own names for their fields (docs/contracts/informaperu.md, Fields)."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from clients.identity import documents, names, phones, ubigeo
from clients.identity.emails import InvalidEmail, canonical_email
from external_api.frontdoor.fields import REQUIRED, Text
from messaging.models import Via


class PersonName(Text):
    """A person's name, as in `clients.identity.names`. A dash in place of an optional one is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=80, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if self.optional and names.is_dash(name):
            return ""
        name = names.spelled(name)
        if not names.name_ok(name):
            raise serializers.ValidationError("Solo puede tener letras, espacios, apóstrofos, guiones y puntos.")
        return name


class Email(Text):
    """An e-mail address, in its canonical form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        try:
            return canonical_email(super().to_internal_value(data))
        except InvalidEmail:
            raise serializers.ValidationError("No es un correo válido.") from None


class Registration(serializers.Serializer[Any]):
    """`POST /client`."""

    tipo_documento = Text(one_of=documents.DOCUMENT_TYPES)
    documento = Text(max_length=15)
    digito_verificador = Text(max_length=1, required=False)
    nombres = PersonName()
    apellido_paterno = PersonName()
    apellido_materno = PersonName(required=False)
    correo = Email()
    departamento = Text()
    provincia = Text()
    distrito = Text()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Validate all fields first, then the rules over several, so that one answer lists every fault."""
        faults: dict[str, Any] = {}
        try:
            fields = super().to_internal_value(data)
        except serializers.ValidationError as fault:
            faults = dict(fault.detail)  # type: ignore[arg-type]
            fields = {str(name): self._alone(str(name), data) for name in self.fields if name not in faults}
        faults |= _document_faults(fields) | _place_faults(fields)
        if faults:
            raise serializers.ValidationError(faults)
        return _applicant(fields)

    def _alone(self, name: str, data: Any) -> str:
        return str(self.fields[name].run_validation(data.get(name)))


def _document_faults(fields: dict[str, Any]) -> dict[str, list[str]]:
    kind, number = fields.get("tipo_documento"), fields.get("documento")
    faults = {}
    if kind and number and not documents.shape_ok(kind, number):
        faults["documento"] = [f"No tiene la forma de un {kind}."]
    if kind == documents.DNI and "digito_verificador" in fields:
        fault = _check_character_fault(number or "", fields["digito_verificador"], number_ok=not faults)
        if fault:
            faults["digito_verificador"] = [fault]
    return faults


def _check_character_fault(number: str, character: str, *, number_ok: bool) -> str:
    if not character:
        return REQUIRED
    if not documents.check_character_form_ok(character):
        return "Debe ser un dígito o una letra de la A a la K."
    if settings.DNI_CHECK_CHARACTER == "strict" and number_ok and not documents.check_character_ok(number, character):
        return "No corresponde al documento."
    return ""


NOT_TOGETHER = "El departamento, la provincia y el distrito no existen juntos."
_LEVELS = ("departamento", "provincia", "distrito")


def _place_faults(fields: dict[str, Any]) -> dict[str, list[str]]:
    triple = [fields.get(name) for name in _LEVELS]
    if not all(triple):
        return {}
    place = ubigeo.find(*(str(each) for each in triple))
    if isinstance(place, ubigeo.Unknown):
        return {_LEVELS[place.level]: _unknown(place)}
    fields["place"] = place
    return {}


def _unknown(place: ubigeo.Unknown) -> list[str]:
    """Texts for the first of the three names that is no place of the one before."""
    if place.level is ubigeo.Level.DEPARTMENT:
        return ["No es un departamento del Perú."]
    if place.level is ubigeo.Level.PROVINCE:
        return [f"No es una provincia del departamento {place.within}."]
    return [NOT_TOGETHER, f"No es un distrito de la provincia {place.within}."]


def _applicant(fields: dict[str, Any]) -> dict[str, Any]:
    place: ubigeo.Place = fields["place"]
    is_dni = fields["tipo_documento"] == documents.DNI
    return {
        "document_type": fields["tipo_documento"],
        "document_number": documents.canonical_number(fields["documento"]),
        "check_character": fields["digito_verificador"].upper() if is_dni else "",
        "names": fields["nombres"],
        "paternal_surname": fields["apellido_paterno"],
        "maternal_surname": fields["apellido_materno"],
        "email": fields["correo"],
        "department": place.department,
        "province": place.province,
        "district": place.district,
        "ubigeo": place.code,
    }


class CodeRequest(serializers.Serializer[Any]):
    """`POST /client/:id/token`."""

    via = Text(one_of=tuple(Via.values))
    telefono = Text(max_length=20, required=False)
    operador = Text(max_length=20, required=False, one_of=phones.OPERATORS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["via"] == Via.EMAIL:
            return {"via": attrs["via"], "phone": "", "operator": ""}
        faults = {name: [REQUIRED] for name in ("telefono", "operador") if not attrs[name]}
        if attrs["telefono"] and not phones.mobile_ok(attrs["telefono"]):
            faults["telefono"] = ["Debe tener 9 dígitos y comenzar con 9."]
        if faults:
            raise serializers.ValidationError(faults)
        return {"via": attrs["via"], "phone": attrs["telefono"], "operator": attrs["operador"]}


class Password(Text):
    """Taken as it was typed: trimming or normalising it would make another password of it."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        if len(data) > self.max_length:
            self.fail("too_long", max_length=self.max_length)
        return str(data)


class Login(serializers.Serializer[Any]):
    """`POST /auth/login`."""

    username = Text(max_length=150)
    password = Password(max_length=128)
    codigo = Text(required=False, max_length=20)
