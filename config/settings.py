"""Django settings of Aval, read once from the environment; `.env.example` explains each for the operator.

An invalid value stops the start with one sentence (`ImproperlyConfigured`).
"""

import ipaddress
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from config import celery as celery  # the application that tasks belong to
from config import error_reports, tracing
from config.backoffice import UNFOLD as UNFOLD  # Django finds it here
from config.backoffice import sandbox_mark
from config.keys import SEALED, derived_keys, former_keys, jwt_keys
from config.logs import logging_at
from config.mail_receipts import SIGNING_KEYS as MAIL_WEBHOOK_KEYS  # noqa: F401  external_api.receipts reads it
from config.mail_receipts import anymail_settings
from config.monitoring import alarm_secret, alarm_url, application_name, metrics_token
from config.policies import CONTENT_SECURITY_POLICY as CONTENT_SECURITY_POLICY  # django-csp too
from config.policies import PERMISSIONS as PERMISSIONS_POLICY  # noqa: F401  external_api.security_headers too
from config.rest import REST_FRAMEWORK as REST_FRAMEWORK
from config.rest import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from config.variables import BASE_DIR as BASE_DIR
from config.variables import boolean, choice, health_folder, number, public_url, read_dotenv, required, web_threads
from config.version import VERSION as AVAL_VERSION

env = environ.Env()
read_dotenv()
env.ENVIRON.pop("MIGRATE_DATABASE_URL", None)  # for migrations alone (config.roles): serving processes must not have it

# --- identity ------------------------------------------------------------------------------------------------

DEBUG = boolean("DEBUG", False)
SECRET_KEY = required("SECRET_KEY")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY is shorter than 32 characters: it signs tokens and seals codes.")

SECRET_KEY_FALLBACKS = former_keys("SECRET_KEY_FALLBACKS", env.list("SECRET_KEY_FALLBACKS", default=[]))
"""Further keys that are accepted: former ones, or the next one before it is used (docs/keys.md)."""

PUBLIC_URL = public_url().rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in ("http", "https") or not _public.hostname:
    raise ImproperlyConfigured(f"PUBLIC_URL must look like https://aval.example.com, not {PUBLIC_URL!r}.")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_public.hostname, "localhost", "127.0.0.1", "[::1]"])

SANDBOX = boolean("SANDBOX", False)
"""Allow `sandbox://` gateways and serve their outbox at /sandbox/messages. Never in production."""

BRAND = env.str("BRAND", "Aval")
"""The sender's name inside every text: Peru's operators replace alphanumeric sender ids."""
if not 1 <= len(BRAND) <= 20 or "•" in BRAND:
    raise ImproperlyConfigured("BRAND must have 1 to 20 characters: it stands in an SMS of 160.")
WEBOTP_DOMAIN = env.str("WEBOTP_DOMAIN", "")
"""Domain of the app that fills in the code from the SMS (last line `@domain #code`); empty: no such line."""
if len(WEBOTP_DOMAIN) > 60:
    raise ImproperlyConfigured("WEBOTP_DOMAIN is longer than 60 characters: the SMS would not fit one segment.")


_secrets = (SECRET_KEY, *SECRET_KEY_FALLBACKS)
CODE_KEYS = derived_keys("code-hmac", *_secrets)
SEAL_KEYS = derived_keys("message-seal", *_secrets)
"""Of codes on their way. As in all these lists the first key makes, and each opens or verifies."""
SEALING_KEYS = {each: derived_keys(each, *_secrets) for each in SEALED}
"""Keys of sealed columns (clients.sealing)."""
BACKUP_CODE_KEYS = derived_keys("backup-code", *_secrets)
JWT_KEYS = jwt_keys(env.str("JWT_KEY", ""), env.list("JWT_KEY_FALLBACKS", default=[]), *_secrets)
"""Keys of partners' tokens, which are valid for a year, and of the staff API's."""

# --- apps ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "clients",
    "staff",
    "messaging",
    "tokens",
    "webhooks",
    "metrics",
    "external_api",
    "subscription",
    "support",
]
MIDDLEWARE = [
    "external_api.traces.RequestTrace",
    "external_api.security_headers.SecurityHeaders",
    "external_api.health.middleware.Health",
    "external_api.middleware.AccessLog",
    "external_api.middleware.ContractEnvelope",
    "external_api.middleware.OverloadGuard",
    "metrics.endpoint.MetricsEndpoint",
    "external_api.malformed_urls.MalformedUrlGuard",
    "external_api.middleware.ContractsApart",  # before what redirects to https: a contract never redirects
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "external_api.security_headers.PagePolicy",
    "staff.admin_policy.AdminPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "staff.middleware.Guard",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL ----------------------------------------------------------------------------------------------

DB_TRANSACTION_POOLER = boolean("DB_TRANSACTION_POOLER", False)
"""True behind PgBouncer's transaction mode: no prepared statements, no start-up options, no server-side cursors."""

required("DATABASE_URL")
DATABASES = {"default": env.db("DATABASE_URL")}
if DATABASES["default"].get("ENGINE") != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL must be a postgres:// URL: the races are won by PostgreSQL's locks.")
DATABASES["default"].update(
    ENGINE="config.postgresql",
    CONN_MAX_AGE=None,  # each web and worker thread keeps its connection: opening one costs more than a request
    CONN_HEALTH_CHECKS=True,
    DISABLE_SERVER_SIDE_CURSORS=DB_TRANSACTION_POOLER,
    ATOMIC_REQUESTS=False,  # a refused attempt still counts: DRF's handler would roll its counter back
)
# A server that dies after it acknowledged a query is noticed in seconds, not in the default two hours.
_KEEPALIVES = {"tcp_user_timeout": 5000, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"].update(connect_timeout=3, application_name=application_name(), **_KEEPALIVES)
if DB_TRANSACTION_POOLER:
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
else:
    DATABASES["default"]["OPTIONS"].update(
        server_side_binding=True,
        prepare_threshold=2,
        # limits for a statement, a lock and an abandoned transaction
        options="-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s",
    )

# --- Redis and Celery ----------------------------------------------------------------------------------------


def _no_sentinel(name: str, url: str) -> None:
    if urlsplit(url).scheme.startswith("sentinel"):
        raise ImproperlyConfigured(
            f"{name}: Redis Sentinel is not supported; give an address that follows the primary (docs/operator.md)."
        )


REDIS_URL = required("REDIS_URL")
_no_sentinel("REDIS_URL", REDIS_URL)
if urlsplit(REDIS_URL).scheme not in ("redis", "rediss", "unix"):
    raise ImproperlyConfigured("REDIS_URL must begin with redis://, rediss:// or unix://.")


def _broker_url(redis_url: str) -> str:
    """Broker URL in Kombu's spelling; a Unix socket is redis+socket:///path?virtual_host=0."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return f"redis+socket://{parts.path}?virtual_host={query.get('db', '0')}"


BROKER_URL = _broker_url(env.str("BROKER_URL", "") or REDIS_URL)
for _each in BROKER_URL.split(";"):  # several nodes of a RabbitMQ
    _no_sentinel("BROKER_URL", _each)
    if urlsplit(_each).scheme not in ("amqp", "amqps", "redis", "rediss", "redis+socket"):
        raise ImproperlyConfigured("BROKER_URL must begin with amqp://, amqps://, redis://, rediss:// or unix://.")
REDIS_IS_BROKER = urlsplit(BROKER_URL)[:3] == urlsplit(_broker_url(REDIS_URL))[:3]
REDIS_PREFIX = env.str("REDIS_PREFIX", "aval:")

# --- gateways: one setting per via, a URL or several separated by blanks, first is preferred -----------------

_GATEWAY_SETTINGS = {"S": "SMS_URL", "W": "WHATSAPP_URL", "I": "IVR_URL", "C": "EMAIL_URL"}
_FALLBACK_SETTINGS = {"S": "SMS_FALLBACK", "W": "WHATSAPP_FALLBACK"}


def _fallback(via: str, text: str) -> tuple[str, int] | None:
    """Parse `W:30` (WhatsApp after 30 s). SMS falls back on WhatsApp or a call, WhatsApp on a call."""
    if not text:
        return None
    target, _, seconds = text.partition(":")
    if target not in {"S": ("W", "I"), "W": ("I",)}[via] or not seconds.isascii() or not seconds.isdigit():
        raise ImproperlyConfigured(f"{_FALLBACK_SETTINGS[via]} must look like W:30 (via and seconds), not {text!r}.")
    if not 5 <= int(seconds) <= 100:
        raise ImproperlyConfigured(f"{_FALLBACK_SETTINGS[via]}: from 5 to 100 seconds; a code lives 150.")
    return target, int(seconds)


AVAL_GATEWAYS = {
    via: tuple(env.str(name, "sandbox://" if SANDBOX else "").split()) for via, name in _GATEWAY_SETTINGS.items()
}
for _via, _urls in AVAL_GATEWAYS.items():
    if not SANDBOX and any(url.startswith("sandbox:") for url in _urls):
        _name = _GATEWAY_SETTINGS[_via]
        raise ImproperlyConfigured(f"{_name} names sandbox://, which delivers to nobody: say SANDBOX=true to allow it.")
SANDBOX_MARK = sandbox_mark(SANDBOX, AVAL_GATEWAYS)
_all_urls = [url for urls in AVAL_GATEWAYS.values() for url in urls]
_nothing_costs_money = bool(_all_urls) and all(url.startswith("sandbox:") for url in _all_urls)

AVAL_FALLBACK = {via: _fallback(via, env.str(name, "")) for via, name in _FALLBACK_SETTINGS.items()}
"""Via -> (fallback via for the same code, seconds to wait for a delivery receipt before it is used)."""
WHATSAPP_APP_SECRET = env.str("WHATSAPP_APP_SECRET", "")
WHATSAPP_VERIFY_TOKEN = env.str("WHATSAPP_VERIFY_TOKEN", "")
"""Signing secret of Meta's receipts, and the token with which Meta verifies the webhook; empty: both are refused."""
ANYMAIL = anymail_settings(env.str, AVAL_GATEWAYS["C"])

DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", f"{BRAND} <no-responder@{_public.hostname}>")
EMAIL_TIMEOUT = 10

# --- contracts -----------------------------------------------------------------------------------------------

INFORMAPERU_OPEN = boolean("INFORMAPERU_OPEN", _nothing_costs_money)
"""Contract 2 without a credential. Open by default only while nothing costs money (docs/contracts/informaperu.md)."""
DNI_CHECK_CHARACTER = choice("DNI_CHECK_CHARACTER", "form", ("form", "strict"))
_strangers_pay = INFORMAPERU_OPEN and not _nothing_costs_money
PHONE_REUSE_NAMES = choice("PHONE_REUSE_NAMES", "masked" if _strangers_pay else "full", ("full", "masked"))

WORKER_THREADS = number("WORKER_THREADS", 16, low=2, high=200)
"""Concurrent calls to providers in each worker; one provider gets at most five eighths of them."""
WEBHOOK_THREADS = number("WEBHOOK_THREADS", 32, low=2, high=200)
"""Concurrent calls to partners' webhooks; failing and slow ones get half of them at most."""
WEB_THREADS = web_threads()
"""Concurrent requests in each web process, which has one more thread for `/status`."""
RATE_PER_PARTNER = number("RATE_PER_PARTNER", 600)
RATE_PER_ADDRESS = number("RATE_PER_ADDRESS", 600)
PAID_MESSAGES_PER_DAY = number("PAID_MESSAGES_PER_DAY", 1000)
PAID_MESSAGES_PER_DAY_TOTAL = number("PAID_MESSAGES_PER_DAY_TOTAL", 20_000)
MAIL_CODES_PER_DAY = number("MAIL_CODES_PER_DAY", 5000)
WRONG_CODES_PER_DAY = number("WRONG_CODES_PER_DAY", 1000)
try:
    TRUSTED_PROXIES = [ipaddress.ip_network(each) for each in env.list("TRUSTED_PROXIES", default=[])]
except ValueError as fault:
    raise ImproperlyConfigured(f"TRUSTED_PROXIES must list addresses or networks like 10.0.0.0/8: {fault}.") from fault

DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
"""Bytes, for the forms of the admin; `external_api.frontdoor` enforces a smaller limit for each contract."""

# --- staff ---------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["clients.hashing.BoundedPBKDF2"]
LOGINS_PER_ADDRESS = number("LOGINS_PER_ADDRESS", 30)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "clients.client_ip.limiting_address_of_request"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # the audit and the log show staff what they need, in Spanish
AXES_COOLOFF_MESSAGE = "Demasiados intentos fallidos. Espere 15 minutos antes de volver a intentar."
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_CALLABLE = "staff.lockout_pages.locked_out"
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "codigo", "csrfmiddlewaretoken"]  # masked in its records

STAFF_TWO_FACTOR = choice("STAFF_TWO_FACTOR", "optional" if SANDBOX else "required", ("required", "optional"))
"""Whether staff must have a second factor. Users who have one must always give it; a demo needs none."""
OTP_TOTP_ISSUER = BRAND
OTP_ADMIN_HIDE_SENSITIVE_DATA = True

PASSWORD_RESET_TIMEOUT = 3600
"""Seconds that a link to set a new password is valid."""
SESSION_IDLE_MINUTES = number("SESSION_IDLE_MINUTES", 30, low=5, high=720)
SESSION_HOURS = number("SESSION_HOURS", 8, low=1, high=24)
"""A session ends after these minutes without a request by its user, and after these hours in any case."""
SESSION_COOKIE_AGE = SESSION_HOURS * 60 * 60
SESSION_ENGINE = "staff.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
"""`Strict` would ask agents to log in again whenever they follow a link to a case from a mail or a chat."""
LOGIN_URL = "admin:login"
LOGOUT_REDIRECT_URL = "/admin/login/?motivo=salida"

# --- retention periods (docs/operator.md, Personal data) -----------------------------------------------------

AVAL_KEEP_DAYS = {
    "messages": number("KEEP_MESSAGES_DAYS", 365, high=3650),
    "codes": number("KEEP_CODES_DAYS", 90, low=3, high=3650),
    "pending": number("KEEP_PENDING_DAYS", 90, low=3, high=3650),
    "validated": number("KEEP_VALIDATED_DAYS", 1825, low=30, high=3650),
    "deauthorized": number("KEEP_DEAUTHORIZED_DAYS", 730, high=3650),
    "links": number("KEEP_LINKS_DAYS", 30, low=2, high=3650),
    "consents": number("KEEP_CONSENTS_DAYS", 1825, low=730, high=7300),
    "requests": number("KEEP_REQUESTS_DAYS", 730, high=3650),
    "receipts": number("KEEP_RECEIPTS_DAYS", 90, low=7, high=3650),
    "suppressions": number("KEEP_SUPPRESSIONS_DAYS", 730, high=3650),
    "provider_events": number("KEEP_PROVIDER_EVENTS_DAYS", 730, low=0, high=7300),
    "events": number("KEEP_EVENTS_DAYS", 30, high=3650),
    "sandbox": number("KEEP_SANDBOX_DAYS", 7, high=3650),
    "logins": number("KEEP_LOGINS_DAYS", 90, high=3650),
    "admin_log": number("KEEP_ADMIN_LOG_DAYS", 365, high=3650),
}
"""Days; 0 means for ever and is allowed only without personal data."""
if AVAL_KEEP_DAYS["requests"] < AVAL_KEEP_DAYS["messages"]:
    raise ImproperlyConfigured("KEEP_REQUESTS_DAYS must not be less than KEEP_MESSAGES_DAYS: a request is its origin.")
if AVAL_KEEP_DAYS["deauthorized"] < AVAL_KEEP_DAYS["messages"]:
    raise ImproperlyConfigured("KEEP_DEAUTHORIZED_DAYS must not be less than KEEP_MESSAGES_DAYS: whose would they be?")

# --- transport -----------------------------------------------------------------------------------------------

_https = _public.scheme == "https"
SECURE_SSL_REDIRECT = boolean("SECURE_SSL_REDIRECT", _https)
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = boolean("HSTS_INCLUDE_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = boolean("HSTS_PRELOAD", False)
"""Both affect more than this host for a year: services on its subdomains, and the browsers' preload lists."""
if SECURE_HSTS_PRELOAD and not (_https and SECURE_HSTS_INCLUDE_SUBDOMAINS):
    raise ImproperlyConfigured("HSTS_PRELOAD needs HSTS_INCLUDE_SUBDOMAINS=true and a PUBLIC_URL of https://.")
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # both settings above are the operator's choice
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
_of_this_host = "__Host-" if _https else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_of_this_host}aval_session", f"{_of_this_host}csrftoken"
"""`__Host-`: browsers accept such a cookie from this host over HTTPS only, never from another subdomain."""
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
if boolean("BEHIND_TLS_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- language, clock, static files ---------------------------------------------------------------------------

LANGUAGE_CODE = "es-mx"  # Django's own es writes a decimal comma; Peru writes a dot, as es-mx does
LANGUAGES = [("es-mx", "Español")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "America/Lima"
LOCALE_PATHS = [BASE_DIR / "locale"]
GUIDE_FOLDER = BASE_DIR / "docs" / "guia"
FORMAT_MODULE_PATH = "config.formats"  # dd/mm/yyyy, in Django's forms too

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", "") or None
"""Target of `collectstatic`: files named by their contents, compressed, kept by browsers for ever. Without it they are
served from the packages, as in tests."""
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None  # a clean clone serves the admin's files at once

# --- health, and extras that are off by default (docs/observability.md) --------------------------------------

HEALTH_FOLDER = health_folder()
error_reports.start(env.str("SENTRY_DSN", ""), release=AVAL_VERSION)
MIDDLEWARE[1:1] = tracing.middleware(env.str("OTEL_EXPORTER_OTLP_ENDPOINT", ""))

# --- logs (one JSON object a line on standard error) and metrics ----------------------------------------------

LOG_LEVEL = choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = logging_at(LOG_LEVEL)
METRICS_TOKEN = metrics_token()
"""Bearer token of `GET /metrics`; empty: there is no such page (docs/metrics.md)."""
ALARM_URL, ALARM_SECRET = alarm_url(), alarm_secret()
"""Where alarms are sent without Prometheus, and the secret that signs them; empty: nowhere."""
