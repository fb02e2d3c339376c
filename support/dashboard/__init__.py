"""Dashboard: the admin's first page."""
