"""Staff accounts: login, second factor, sessions, account pages, users and groups in the admin."""
