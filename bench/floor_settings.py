"""Our settings, database options included, without our rooms and without middleware."""

from config.settings import *  # noqa: F403

INSTALLED_APPS = []
MIDDLEWARE = []
ROOT_URLCONF = "bench.floor"
