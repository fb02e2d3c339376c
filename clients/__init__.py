"""Partners, their credentials, the people they register, and the audit."""
