"""Second factor of a staff member: enrolled with a code, used once, renewed, removed and reset."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from clients.authenticators import Authenticator
from clients.models import AuditEntry
from conftest import NOW, at_once
from staff import second_factor as factor
from staff.tests.authenticator import code, rested, wrong

pytestmark = pytest.mark.django_db
WHERE = {"at": NOW, "address": "192.0.2.7"}


@pytest.fixture
def eva(db):
    return User.objects.create_user("eva", is_staff=True)


@pytest.fixture
def key(eva):
    """Key of Eva's app. The enrolment used a code of the step before, so that the present one is still good."""
    key = factor.new_key()
    factor.enrol(eva, key, code(key, -1), **WHERE)
    return key


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_an_app_is_enrolled_once_a_code_of_it_was_verified(eva):
    key = factor.new_key()
    with pytest.raises(factor.CodeRefused):
        factor.enrol(eva, key, wrong(key), **WHERE)
    assert factor.device_of(eva) is None
    assert not TOTPDevice.objects.exists()
    codes = factor.enrol(eva, key, f"{code(key)[:3]} {code(key)[3:]}", **WHERE)
    assert factor.device_of(eva).plain_key == key
    assert len(codes) == len(set(codes)) == 10
    assert factor.backup_codes_left(eva) == 10
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.object_type, entry.actor, entry.address) == (
        "second_factor.enrolled",
        "auth.user",
        "eva",
        "192.0.2.7",
    )


def test_a_second_app_is_refused(eva, key):
    other = factor.new_key()
    with pytest.raises(factor.AlreadyEnrolled):
        factor.enrol(eva, other, code(other), **WHERE)
    assert Authenticator.objects.get().plain_key == key


def test_a_code_works_once(eva, key):
    typed = code(key)
    assert factor.check(eva, typed, **WHERE) == factor.device_of(eva)
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, typed, **WHERE)
    rested()
    factor.check(eva, code(key, 1), **WHERE)


def test_the_code_of_the_enrolment_does_not_log_in_too(eva):
    key = factor.new_key()
    typed = code(key)
    factor.enrol(eva, key, typed, **WHERE)
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, typed, **WHERE)


@pytest.mark.parametrize("steps", [-3, 3])
def test_a_code_of_another_minute_is_wrong(eva, key, steps):
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, code(key, steps), **WHERE)


def test_somebody_else_s_code_is_wrong(eva, key):
    other = User.objects.create_user("leo", is_staff=True)
    other_key = factor.new_key()
    factor.enrol(other, other_key, code(other_key, -1), **WHERE)
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, code(other_key), **WHERE)


@pytest.mark.parametrize("typed", ["", "x", "12345", "1234567", "+23456", "١٢٣٤٥٦", "1_2345", "000000\x00", "9" * 20])
def test_what_is_no_code_is_wrong_and_counted(eva, key, typed):
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, typed, **WHERE)
    assert actions()[-1] == "second_factor.failed"


def test_each_wrong_code_makes_the_next_wait_twice_as_long(eva, key):
    for failures in range(1, 6):
        with pytest.raises(factor.CodeRefused):
            factor.check(eva, wrong(key), **WHERE)
        with pytest.raises(factor.TryLater) as wait:
            factor.check(eva, code(key), **WHERE)
        assert wait.value.seconds <= 2 ** (failures - 1)
        assert TOTPDevice.objects.get().throttling_failure_count == failures, "asking during the wait is not a try"
        TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=2 ** (failures - 1)))
    factor.check(eva, code(key), **WHERE)
    assert TOTPDevice.objects.get().throttling_failure_count == 0


def test_a_backup_code_works_once_in_any_spelling(eva):
    key = factor.new_key()
    first, second, *_ = factor.enrol(eva, key, code(key), **WHERE)
    factor.check(eva, f" {first.upper().replace('-', ' ')} ", **WHERE)
    assert factor.backup_codes_left(eva) == 9
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, first, **WHERE)
    rested()
    factor.check(eva, second.replace("-", ""), **WHERE)
    used = AuditEntry.objects.filter(action="second_factor.backup_code_used").order_by("id")
    assert [each.data for each in used] == [{"left": 9}, {"left": 8}]


def test_no_stored_hash_of_a_backup_code_works_as_a_code(eva):
    key = factor.new_key()
    codes = factor.enrol(eva, key, code(key), **WHERE)
    kept = StaticToken.objects.values_list("token", flat=True)
    assert not {each.replace("-", "") for each in codes} & set(kept)
    for stolen in kept[:2]:
        with pytest.raises(factor.CodeRefused):
            factor.check(eva, stolen, **WHERE)
        rested()


def test_renewed_codes_replace_the_old_ones(eva):
    key = factor.new_key()
    old = factor.enrol(eva, key, code(key, -1), **WHERE)
    with pytest.raises(factor.CodeRefused):
        factor.renew_backup_codes(eva, wrong(key), **WHERE)
    rested()
    new = factor.renew_backup_codes(eva, old[0], **WHERE)
    assert len(new) == 10
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, old[1], **WHERE)
    rested()
    factor.check(eva, new[9], **WHERE)
    assert "second_factor.codes_renewed" in actions()


def test_a_second_factor_is_removed_with_a_code_of_it(eva, key):
    with pytest.raises(factor.CodeRefused):
        factor.remove(eva, wrong(key), **WHERE)
    assert factor.device_of(eva) is not None
    rested()
    factor.remove(eva, code(key), **WHERE)
    assert factor.device_of(eva) is None
    assert not StaticDevice.objects.exists()
    assert actions() == ["second_factor.enrolled", "second_factor.failed", "second_factor.removed"]
    with pytest.raises(factor.NotEnrolled):
        factor.check(eva, code(key, 1), **WHERE)


def test_a_second_factor_is_reset_for_a_reason(eva, key):
    assert factor.reset(eva, by="ada", reason="perdió el celular", **WHERE)
    assert factor.device_of(eva) is None
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.actor, entry.reason) == ("second_factor.reset", "ada", "perdió el celular")
    assert not factor.reset(eva, by="ada", reason="otra vez", **WHERE)
    assert actions().count("second_factor.reset") == 1


def test_administrators_reset_others_and_only_a_superuser_resets_a_superuser():
    chief = User.objects.create_superuser("jefa")
    admin = User.objects.create_user("ada", is_staff=True)
    admin.groups.add(Group.objects.get(name="Administradores"))
    agent = User.objects.create_user("eva", is_staff=True)
    for actor, whose in ((admin, agent), (chief, admin), (chief, agent)):
        factor.check_may_reset(actor, whose)
    for actor, whose in ((admin, chief), (agent, admin), (admin, admin), (chief, chief)):
        with pytest.raises(factor.NotAllowed):
            factor.check_may_reset(actor, whose)


def test_a_command_resets_the_second_factor_of_the_only_administrator(eva, key, capsys):
    call_command("reset_second_factor", "eva", reason="no hay otro")
    assert capsys.readouterr().out == "Reset: eva\n"
    assert factor.device_of(eva) is None
    assert AuditEntry.objects.latest("id").reason == "no hay otro"
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("reset_second_factor", "eva")
    with pytest.raises(CommandError, match="Nobody is called"):
        call_command("reset_second_factor", "nadie")


def test_neither_key_nor_code_is_in_the_audit(eva, caplog):
    caplog.set_level("DEBUG")
    key = factor.new_key()
    codes = factor.enrol(eva, key, code(key, -1), **WHERE)
    right, bad = code(key), wrong(key)
    factor.check(eva, right, **WHERE)
    with pytest.raises(factor.CodeRefused):
        factor.check(eva, bad, **WHERE)
    factor.check(eva, codes[0], **WHERE)
    kept = " ".join(str(row) for row in AuditEntry.objects.values_list("action", "reason", "data")) + caplog.text
    for secret in (key, right, bad, *codes, *(each.replace("-", "") for each in codes)):
        assert secret not in kept


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", ["app", "paper"])
def test_of_many_logins_at_once_with_one_code_one_succeeds(by):
    eva = User.objects.create_user("eva", is_staff=True)
    key = factor.new_key()
    codes = factor.enrol(eva, key, code(key, -1), **WHERE)
    typed = code(key) if by == "app" else codes[0]

    def once():
        try:
            return bool(factor.check(eva, typed, **WHERE))
        except (factor.CodeRefused, factor.TryLater):
            return False

    assert sum(at_once([once] * 8)) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_wrong_codes_at_once_one_is_compared():
    eva = User.objects.create_user("eva", is_staff=True)
    key = factor.new_key()
    factor.enrol(eva, key, code(key, -1), **WHERE)
    bad = wrong(key)

    def once():
        try:
            factor.check(eva, bad, **WHERE)
        except factor.CodeRefused:
            return "looked at"
        except factor.TryLater:
            return "wait"

    assert at_once([once] * 8).count("looked at") == 1
    assert TOTPDevice.objects.get().throttling_failure_count == 1


@pytest.mark.django_db(transaction=True)
def test_two_enrolments_at_once_make_one_app():
    eva = User.objects.create_user("eva", is_staff=True)
    keys = [factor.new_key() for _ in range(4)]

    def enrol(key):
        try:
            return bool(factor.enrol(eva, key, code(key), **WHERE))
        except factor.AlreadyEnrolled:
            return False

    assert sum(at_once([lambda key=key: enrol(key) for key in keys])) == 1
    assert TOTPDevice.objects.count() == 1


def test_the_database_keeps_one_app_a_person(eva, key):
    with pytest.raises(IntegrityError, match="one_second_factor_per_user"), transaction.atomic():
        TOTPDevice.objects.create(user=eva, name="otra", confirmed=True)
