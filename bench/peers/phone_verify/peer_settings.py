"""Settings of django-phone-verify as `python -m bench peers` serves it: nothing that the package does not need.

The database has the options of ours, so that connections persist and statements are prepared. Authentication, sessions
and the log of requests, which would cost it, are left out.
"""

import os

DEBUG = False
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["localhost"]
INSTALLED_APPS = ["rest_framework", "phone_verify"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "sender.code_header"]
ROOT_URLCONF = "phone_verify.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {"server_side_binding": True, "prepare_threshold": 2},
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
PHONE_VERIFICATION = {
    "BACKEND": "sender.Sender",
    "OPTIONS": {},
    "TOKEN_LENGTH": 6,
    "MESSAGE": "{security_code}",
    "APP_NAME": "Phone Verify",
    "SECURITY_CODE_EXPIRATION_SECONDS": 300,
    "VERIFY_SECURITY_CODE_ONLY_ONCE": True,
}
