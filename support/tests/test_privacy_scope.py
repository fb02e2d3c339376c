"""Scope of the export: each column that could hold personal data is in it, or has a reason here."""

import pytest
from django.apps import apps
from django.db import models

from support.privacy.sections import SECTIONS

OTHERS = {
    "clients.partner": "companies, not people; their name is in every section that names them",
    "clients.credential": "keys of companies",
    "webhooks.endpoint": "servers of companies, and an address for their notices",
    "webhooks.delivery": "which event went to which server, and its answer's status",
    "clients.eventepoch": "a random value",
    "clients.loginfailures": "failed logins of staff, by a keyed hash of the name",
    "clients.loginaddress": "logins of staff, by a keyed hash of name and address",
    "messaging.ratecount": "counts of a minute to a day, by a keyed hash of who is counted",
    "messaging.campaign": "words to everybody; they are told with the messages they went out in",
    "messaging.providerstate": "about providers; who set one aside is staff",
    "messaging.providerevent": "about providers; who set one aside is staff",
    "messaging.sandboxmessage": "outboxes of tests: nobody got these messages, and an erasure deletes them",
    "metrics.metricminute": "figures of the installation, by labels of closed lists",
    "metrics.metrictotal": "the same",
    "metrics.mark": "how far rows were counted",
    "metrics.alarmstate": "about alarms of the installation",
    "metrics.taskrun": "when a task of ours ran",
    "external_api.idempotentanswer": "a day's copies of answers; what they say is in the rows they were made of",
    "admin.logentry": "what staff clicked in the admin; the audit tells it with its reason",
    "auth.user": "staff",
    "auth.group": "roles",
    "auth.permission": "words of the program",
    "contenttypes.contenttype": "words of the program",
    "sessions.session": "staff's sessions; clients have none",
    "staff.resetrequest": "staff who asked for a new password",
    "support.usagecount": "figures of companies",
    "axes.accessattempt": "failed logins of staff",
    "axes.accesslog": "logins of staff",
    "axes.accessfailurelog": "failed logins of staff",
    "otp_totp.totpdevice": "staff's second factor",
    "clients.authenticator": "staff's second factor",
    "otp_static.staticdevice": "staff's second factor",
    "otp_static.statictoken": "staff's second factor",
}
"""Models with text that is about no client, and whose it is."""

LEFT_OUT = {
    "clients.externalclient.folded_name": "the name once more, for searching",
    "clients.externalclient.phone_digits": "the phone once more, for searching",
    "clients.externalclient.name_words": "the name once more, for searching",
    "clients.auditentry.object_type": "in the registry's history the section says it",
    "clients.auditentry.reason": "what a company changes has none",
    "clients.auditentry.address": "from where the company, or staff, acted",
    "messaging.message.html": "the text once more, in HTML",
    "messaging.message.sealed": "a code on its way, which nobody may see",
    "messaging.message.gateway_queue": "which process sends it",
    "messaging.providerreceipt.bounce": "the server's code; what it means is in the list of mailboxes",
    "messaging.suppression.mailbox_key": "a keyed hash of the mailbox of an erased person",
    "messaging.suppression.created_by": "staff",
    "messaging.suppression.lifted_by": "staff",
    "tokens.verificationtoken.code_hmac": "a secret; the code itself is kept nowhere",
    "external_api.apirequest.user": "who asked at the company: somebody else",
}
"""Columns of exported models that are not in the export, and why."""

TEXT = (
    models.CharField,
    models.TextField,
    models.JSONField,
    models.BinaryField,
    models.GenericIPAddressField,
    models.GeneratedField,
)


def could_hold_a_person(field):
    return isinstance(field, TEXT) and not getattr(field, "choices", None)


def texts(model):
    return [field.name for field in model._meta.concrete_fields if could_hold_a_person(field)]


MODELS = {model._meta.label_lower: model for model in apps.get_models() if texts(model)}
TOLD = {section.model._meta.label_lower for section in SECTIONS}


def test_every_model_is_in_the_export_or_has_a_reason():
    assert len(MODELS) > 20
    assert set(MODELS) - TOLD - set(OTHERS) == set()
    assert TOLD & set(OTHERS) == set()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda each: each.name)
def test_every_column_of_a_section_is_in_the_export_or_has_a_reason(section):
    label = section.model._meta.label_lower
    untold = {f"{label}.{name}" for name in texts(section.model)} - {f"{label}.{name}" for name in section.columns}
    assert untold <= set(LEFT_OUT)


def test_what_is_left_out_exists_and_no_code_is_exported():
    for each in LEFT_OUT:
        label, _, name = each.rpartition(".")
        assert name in texts(MODELS[label]), each
    told = {f"{section.model._meta.label_lower}.{name}" for section in SECTIONS for name in section.columns}
    assert {"tokens.verificationtoken.code_hmac", "messaging.message.sealed"} & told == set()


def test_the_names_are_plain_and_each_is_there_once():
    for section in SECTIONS:
        names = list(section.columns.values())
        assert len(names) == len(set(names)), section.name
        for name in (section.name, *names):
            assert name.isascii() or name == name.lower(), name
            assert name == name.lower(), name
        assert section.says.endswith(".")
