"""Change of SECRET_KEY: what is sealed anew, and what still needs a former key (docs/keys.md)."""
