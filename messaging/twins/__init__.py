"""Delivery of a test twin's messages: its sandbox in place of the gateways, and recipients with a known outcome."""

FAMILY = "pruebas"
"""Beginning of the names of a twin's providers; no scheme of a gateway has it."""
PROVIDERS = (f"{FAMILY}:1", f"{FAMILY}:2")
"""The two providers that a twin has for each via, the preferred one first."""
