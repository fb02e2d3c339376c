"""Settings of the floor: ours, database options included, without our apps and middleware."""

from config.settings import *  # noqa: F403  these settings extend ours

INSTALLED_APPS = []
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # sets Content-Length, or the connection closes
ROOT_URLCONF = "bench.floor"
