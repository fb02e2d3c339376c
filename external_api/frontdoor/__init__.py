"""What every contract's request passes: one strict JSON parser, credentials, limits, idempotency, log, envelope."""
