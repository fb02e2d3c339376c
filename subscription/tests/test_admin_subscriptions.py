"""Admin pages of links and evidence: read-only, and without a token on any page."""

import pytest
from django.urls import reverse

from subscription.links import confirmation_token
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.tests.conftest import ANA
from tests.factories import superuser_browser

pytestmark = pytest.mark.django_db
REQUESTS, CONSENTS = "/admin/subscription/subscriptionrequest/", "/admin/subscription/consentrecord/"


@pytest.fixture
def superuser(db):
    return superuser_browser()


@pytest.fixture
def made(visitor, client_of_banco):
    visitor.press(visitor.link())
    return SubscriptionRequest.objects.get(), ConsentRecord.objects.get()


def test_lists_and_pages_show_no_token(superuser, made):
    request, consent = made
    secret = confirmation_token(request.pk).partition(".")[2]
    for path in (REQUESTS, f"{REQUESTS}{request.pk}/change/", CONSENTS, f"{CONSENTS}{consent.pk}/change/"):
        answer = superuser.get(path)
        assert answer.status_code == 200, path
        html = answer.content.decode()
        assert ANA in html
        assert secret not in html
    assert "Banco Andino" in superuser.get(CONSENTS).content.decode()
    assert "PUBLICIDAD" in superuser.get(f"{CONSENTS}{consent.pk}/change/").content.decode()


def test_search_by_address_or_id(superuser, made):
    request, _ = made
    for path, term, found in [
        (REQUESTS, " ANA@example.com ", True),
        (REQUESTS, str(request.pk), True),
        (REQUESTS, "otra@example.com", False),
        (CONSENTS, "ana@example.com", True),
        (CONSENTS, "otra@example.com", False),
    ]:
        html = superuser.get(path, {"q": term}).content.decode()
        assert (f"{path}" in html and "field-email" in html) == found


def test_nothing_can_be_written(superuser, made):
    for row in made:
        name = row._meta.model_name
        assert superuser.get(reverse(f"admin:subscription_{name}_add")).status_code == 403
        assert (
            superuser.post(reverse(f"admin:subscription_{name}_change", args=[row.pk]), {"email": "x"}).status_code
            == 403
        )
        assert (
            superuser.post(reverse(f"admin:subscription_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code
            == 403
        )
