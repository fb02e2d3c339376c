"""The providers' webhooks: what became of a message after they took it. Only signed reports count."""
