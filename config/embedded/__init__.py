"""Embedded PostgreSQL and Valkey, from wheels, for an installation on one machine."""
