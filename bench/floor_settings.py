"""Our settings, database options included, without our rooms and without middleware."""

from config.settings import *  # noqa: F403  these settings extend ours

INSTALLED_APPS = []
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # says how long an answer is, or the connection closes
ROOT_URLCONF = "bench.floor"
