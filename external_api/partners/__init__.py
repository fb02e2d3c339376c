"""API for partners: what they are allowed, what became of their messages and codes, and the feed of their events."""
