"""Rate limits: how often somebody did something, counted in Redis, and in PostgreSQL while Redis is away."""
