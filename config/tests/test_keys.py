"""Keys that are derived from SECRET_KEY and from former ones."""

from config.keys import derived_key, derived_keys, former_keys, jwt_keys

NOW, FORMER, OLDER = ("n" * 32, "f" * 32, "o" * 32)
OWN, OWN_FORMER = ("j" * 32, "k" * 32)


def of(secret):
    return derived_key("jwt", secret).hex()


def test_each_purpose_and_each_secret_has_a_key_of_its_own():
    found = [key for purpose in ("jwt", "code-hmac") for key in derived_keys(purpose, NOW, FORMER)]
    assert len({*found}) == 4
    assert {len(each) for each in found} == {32}


def test_a_secret_that_is_named_twice_is_tried_once():
    assert derived_keys("jwt", NOW, FORMER, NOW) == derived_keys("jwt", NOW, FORMER)
    assert former_keys("X", [FORMER, "", f" {FORMER} ", OLDER]) == [FORMER, OLDER]


def test_the_keys_of_jwts_follow_the_secrets_where_they_are_not_given():
    assert jwt_keys("", [], NOW, FORMER) == [of(NOW), of(FORMER)]
    assert jwt_keys(OWN, [], NOW) == [OWN]
    assert jwt_keys(OWN, [], NOW, FORMER) == [OWN, of(FORMER)]
    assert jwt_keys(OWN, [OWN_FORMER], NOW, FORMER) == [OWN, OWN_FORMER]
    assert jwt_keys("", [OWN_FORMER], NOW, FORMER) == [of(NOW), OWN_FORMER]


def test_a_jwt_key_is_set_for_the_first_time_without_a_cut():
    assert jwt_keys(OWN, [], NOW, NOW) == [OWN, of(NOW)], "with the present secret among the further ones"
