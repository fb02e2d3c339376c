"""Identity of a person: documents, names, phones, mailboxes, places."""
