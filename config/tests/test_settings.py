"""Settings: defaults, and invalid values, which stop the start with one sentence that names the variable."""

import os
import subprocess
import sys

import pytest

GOOD = {
    "SECRET_KEY": "k" * 40,
    "DATABASE_URL": "postgres://aval@localhost/aval",
    "REDIS_URL": "redis://localhost/0",
    "SANDBOX": "true",
    "PUBLIC_URL": "https://aval.example.com",
}


def load(expression="''", **changes):
    env = {**{key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}, **GOOD, **changes}
    program = (
        "import sys\nfrom django.core.exceptions import ImproperlyConfigured\n"
        "try:\n    import config.settings as s\n"
        "except ImproperlyConfigured as fault:\n    sys.exit(str(fault))\n"
        f"print({expression})"
    )
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "expected"), [("", "aval"), ("aval-web", "aval-web"), ("psql", "aval"), ("avalon", "aval")]
)
def test_connections_have_the_name_of_their_program(given, expected):
    """`after_restore` finds connections of Aval by their name, so nothing else can stand in its place."""
    done = load("s.DATABASES['default']['OPTIONS']['application_name']", PGAPPNAME=given)
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "sqlite:///x"),
        ("REDIS_URL", ""),
        ("REDIS_URL", "memcached://x"),
        ("REDIS_URL", "sentinel://x:26379/0"),
        ("BROKER_URL", "sentinel://x:26379"),
        ("BROKER_URL", "amqp://x//;sentinel://y"),
        ("BROKER_URL", "sqs://x"),
        ("RATE_PER_PARTNER", "0"),
        ("RATE_PER_PARTNER", "-5"),
        ("RATE_PER_ADDRESS", "many"),
        ("DEBUG", "maybe"),
        ("DNI_CHECK_CHARACTER", "loose"),
        ("PHONE_REUSE_NAMES", "none"),
        ("PUBLIC_URL", "aval.example.com"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("LOG_LEVEL", "LOUD"),
        ("BRAND", "B" * 21),
        ("WEBOTP_DOMAIN", "d" * 61),
        ("JWT_KEY", "short"),
        ("JWT_KEY_FALLBACKS", "short"),
        ("SECRET_KEY_FALLBACKS", "short"),
        ("SECRET_KEY_FALLBACKS", ",".join(letter * 32 for letter in "abcde")),
        ("STAFF_TWO_FACTOR", "maybe"),
        ("SESSION_IDLE_MINUTES", "4"),
        ("SESSION_IDLE_MINUTES", "721"),
        ("SESSION_HOURS", "0"),
        ("SESSION_HOURS", "25"),
        ("SESSION_HOURS", "eight"),
        ("KEEP_MESSAGES_DAYS", "0"),
        ("KEEP_CODES_DAYS", "2"),
        ("KEEP_PENDING_DAYS", "2"),
        ("KEEP_CONSENTS_DAYS", "729"),
        ("KEEP_REQUESTS_DAYS", "364"),
        ("KEEP_SANDBOX_DAYS", "never"),
        ("KEEP_DEAUTHORIZED_DAYS", "364"),
        ("ANYMAIL_WEBHOOK_SECRET", "sin-dos-puntos"),
        ("ANYMAIL_WEBHOOK_SECRET", "aval: "),
        ("ANYMAIL_WEBHOOK_SECRET", ":clave"),
        ("ANYMAIL_WEBHOOK_SECRET", "aval:contraseña"),
        ("ANYMAIL_MANDRILL_WEBHOOK_KEY", "ñ"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(name, value):
    run = load(**{name: value})
    assert run.returncode == 1, run.stdout
    assert "Traceback" not in run.stderr
    assert name in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("mailgun://KEY@/?domain=mg.example.com", "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY"),
        ("mandrill://KEY@/", "ANYMAIL_MANDRILL_WEBHOOK_KEY"),
        ("MailerSend://KEY@/", "ANYMAIL_MAILERSEND_SIGNING_SECRET"),
        ("smtp://mail.example.com mandrill://KEY@/", "ANYMAIL_MANDRILL_WEBHOOK_KEY"),
    ],
)
def test_a_mail_service_that_signs_its_receipts_does_not_start_without_the_key_for_them(url, key):
    run = load(EMAIL_URL=url, ANYMAIL_WEBHOOK_SECRET="aval:clave")
    assert run.returncode == 1
    assert key in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert "KEY@" not in run.stderr
    assert load(EMAIL_URL=url, ANYMAIL_WEBHOOK_SECRET="aval:clave", **{key: "una-clave"}).returncode == 0
    assert load(EMAIL_URL=url).returncode == 0, "without receipts none is needed"
    assert key in load(EMAIL_URL=url, ANYMAIL_WEBHOOK_SECRET="aval:clave", **{key: "  "}).stderr, "a blank one is none"


def test_a_mail_service_that_does_not_sign_needs_the_password_alone():
    assert load(EMAIL_URL="postmark://KEY@/", ANYMAIL_WEBHOOK_SECRET="aval:clave").returncode == 0


def test_every_password_is_hashed_by_the_bounded_hasher():
    assert load("s.PASSWORD_HASHERS").stdout.strip() == "['clients.hashing.BoundedPBKDF2']"


@pytest.mark.parametrize(
    ("given", "default"),
    [
        ({}, "full"),
        ({"INFORMAPERU_OPEN": "true"}, "full"),
        ({"SMS_URL": "twilio://a:b@/?from=%2B51"}, "full"),
        ({"SMS_URL": "twilio://a:b@/?from=%2B51", "INFORMAPERU_OPEN": "true"}, "masked"),
        ({"EMAIL_URL": "smtp://mail.example.com", "INFORMAPERU_OPEN": "true"}, "masked"),
        ({"EMAIL_URL": "smtp://x.pe", "INFORMAPERU_OPEN": "true", "PHONE_REUSE_NAMES": "full"}, "full"),
        ({"PHONE_REUSE_NAMES": "masked"}, "masked"),
    ],
)
def test_names_are_masked_by_default_where_anybody_can_ask_with_a_real_gateway(given, default):
    run = load("s.PHONE_REUSE_NAMES", **given)
    assert (run.returncode, run.stdout.strip()) == (0, default), run.stderr


@pytest.mark.parametrize("url", ["twillio://x", "smtp://mail.example.com", "sandbox://host/path?x=1 nonsense"])
def test_a_gateway_url_with_a_mistake_stops_the_start(url):
    env = {**{key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}, **GOOD, "SMS_URL": url}
    program = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; import config.wsgi"
    run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ImproperlyConfigured: SMS_URL" in run.stderr.strip().splitlines()[-1]


def test_a_sandbox_gateway_needs_the_sandbox():
    run = load(SANDBOX="false", SMS_URL="sandbox://")
    assert run.returncode == 1
    assert "SANDBOX=true" in run.stderr


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [
        ({}, True),
        ({"EMAIL_URL": "smtp://mail.example.com:25"}, False),
        ({"EMAIL_URL": "sandbox:// smtp://mail.example.com:25"}, False),
        ({"EMAIL_URL": "smtp://mail.example.com:25", "INFORMAPERU_OPEN": "true"}, True),
        ({"INFORMAPERU_OPEN": "false"}, False),
        ({"SANDBOX": "false", "EMAIL_URL": "smtp://mail.example.com:25"}, False),
        ({"SANDBOX": "false"}, False),
    ],
)
def test_contract_2_is_open_only_while_nothing_costs_money_or_when_it_is_said(changes, is_open):
    run = load("s.INFORMAPERU_OPEN", **changes)
    assert run.stdout.strip() == str(is_open), run.stderr


def test_a_transaction_pooler_turns_off_what_it_forbids():
    run = load("s.DATABASES['default']", DB_TRANSACTION_POOLER="true")
    assert "statement_timeout" not in run.stdout
    assert "server_side_binding" not in run.stdout
    assert "'prepare_threshold': None" in run.stdout
    assert "'DISABLE_SERVER_SIDE_CURSORS': True" in run.stdout


def test_a_unix_socket_is_spelt_the_broker_s_way():
    run = load("s.BROKER_URL", REDIS_URL="unix:///run/redis.sock?db=3")
    assert run.stdout.strip() == "redis+socket:///run/redis.sock?virtual_host=3"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"SANDBOX": "true"}, "optional"),
        ({"SANDBOX": "true", "STAFF_TWO_FACTOR": "required"}, "required"),
        ({"SANDBOX": "false"}, "required"),
        ({"SANDBOX": "false", "STAFF_TWO_FACTOR": "optional"}, "optional"),
    ],
)
def test_staff_needs_a_second_factor_except_at_a_first_look(changes, wanted):
    run = load("s.STAFF_TWO_FACTOR", **changes)
    assert run.stdout.strip() == wanted, run.stderr


def test_cookies_of_the_staff_travel_by_https_alone_where_there_is_one():
    run = load("s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY")
    assert run.stdout.strip() == "True True True"
    assert load("s.SESSION_COOKIE_SECURE", PUBLIC_URL="http://localhost:8000").stdout.strip() == "False"


def test_cookies_belong_to_this_very_host_where_there_is_https():
    names = "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME"
    assert load(names).stdout.strip() == "__Host-aval_session __Host-csrftoken"
    assert load(names, PUBLIC_URL="http://localhost:8000").stdout.strip() == "aval_session csrftoken"
    assert (
        load("hasattr(s, 'SESSION_COOKIE_DOMAIN'), hasattr(s, 'SESSION_COOKIE_PATH')").stdout.strip() == "False False"
    )


def test_hsts_binds_this_host_and_more_only_when_asked():
    words = "s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD"
    assert load(words).stdout.strip() == "31536000 False False"
    both = {"HSTS_INCLUDE_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}
    assert load(words, **both).stdout.strip() == "31536000 True True"
    assert load(words, PUBLIC_URL="http://localhost:8000").stdout.strip() == "0 False False"
    for changes in ({"HSTS_PRELOAD": "true"}, {**both, "PUBLIC_URL": "http://localhost:8000"}):
        refused = load(**changes)
        assert (refused.returncode, "HSTS_PRELOAD needs" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("changes", "broker"),
    [
        ({"REDIS_URL": "unix:///run/r.sock?db=2"}, ("redis+socket:///run/r.sock?virtual_host=2", True)),
        ({"REDIS_URL": "redis://r:6379/0"}, ("redis://r:6379/0", True)),
        (
            {"REDIS_URL": "redis://r/0", "BROKER_URL": "amqp://a:b@one//;amqp://a:b@two//"},
            ("amqp://a:b@one//;amqp://a:b@two//", False),
        ),
        (
            {"REDIS_URL": "redis://r/0", "BROKER_URL": "unix:///run/r.sock"},
            ("redis+socket:///run/r.sock?virtual_host=0", False),
        ),
    ],
)
def test_the_broker_is_redis_unless_another_one_is_given(changes, broker):
    run = load("(s.BROKER_URL, s.REDIS_IS_BROKER)", **changes)
    assert run.stdout.strip() == repr(broker), run.stderr
