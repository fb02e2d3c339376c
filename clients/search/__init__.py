"""Search of people by name, document, phone and mailbox, by index."""
