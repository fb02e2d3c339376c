"""Creation of a partner with its first keys, for the command, the admin and the first run."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from clients.credentials import issue
from clients.models import Contract, Credential, Partner, audit


@dataclass(frozen=True)
class NewPartner:
    """New partner and its secrets, which are shown once."""

    partner: Partner
    token: str
    jwt: str


def create_partner(
    name: str, *, at: datetime, by: str, slug: str = "", contracts: list[str] | None = None, brand: str = ""
) -> NewPartner:
    """Create the partner, an opaque token and a JWT of 365 days.

    Raises ValueError if the name is blank or too long, the slug is taken, a contract does not exist or the brand cannot
    stand in a message.
    """
    name = " ".join(name.split())
    slug = slug or slugify(name)[:50]
    if not slug or len(name) > 100:
        raise ValueError("A partner needs a name of 1 to 100 characters with at least one letter or digit.")
    unknown = set(contracts or []) - set(Contract.values)
    if unknown:
        raise ValueError(f"Unknown contract: {', '.join(sorted(unknown))}. There are {', '.join(Contract.values)}.")
    try:
        brand = Partner._meta.get_field("brand").clean(" ".join(brand.split()), None)
    except ValidationError as fault:
        raise ValueError(f"The brand: {' '.join(fault.messages)}") from None
    with transaction.atomic():
        if Partner.objects.filter(slug=slug).exists():
            raise ValueError(f"There is a partner {slug!r} already. Give another name or --slug.")
        partner = Partner.objects.create(
            name=name, slug=slug, contracts=contracts or list(Contract.values), brand=brand
        )
        audit(partner, "partner.created", at=at, by=by, slug=slug)
        _, token = issue(partner, Credential.Kind.OPAQUE, at=at, by=by)
        _, jwt = issue(partner, Credential.Kind.JWT, at=at, by=by)
    return NewPartner(partner, token, jwt)
