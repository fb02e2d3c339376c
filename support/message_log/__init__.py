"""Message log: list, filters and export of messages."""
