"""After a backup was restored: what must not happen twice, and what must happen again (docs/backup.md)."""
