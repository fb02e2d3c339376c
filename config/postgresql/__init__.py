"""Database backend: Django's for PostgreSQL, with a health check without a round trip."""
