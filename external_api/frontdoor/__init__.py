"""Front door of all contracts: strict JSON parser, credentials, limits, idempotency, request log, envelope."""
