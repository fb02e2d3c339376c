"""Privacy: export and erasure of a person's data, retention of everything."""
