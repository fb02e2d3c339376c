"""Usage: messages and codes by day, partner, via and outcome, for bills and for a provider's invoice."""
