"""Settings, URLs, the Celery application and the embedded servers: how the rooms are put together."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
