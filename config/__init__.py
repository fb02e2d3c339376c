"""Project package: settings, URLs, the Celery application, the web server and the embedded servers."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
