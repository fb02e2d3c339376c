"""Support desk: search of a person over all contracts, what happened to their messages, and why no code arrived."""
