"""Rate limits, counted in Redis, and in PostgreSQL while Redis is unavailable."""
