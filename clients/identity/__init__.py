"""What identifies a person: documents, names, phones, mailboxes, places of birth."""
