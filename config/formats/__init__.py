"""Date formats: Django's for Mexico, with numeric dates and the day first, as in Peru."""
