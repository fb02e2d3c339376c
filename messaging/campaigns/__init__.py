"""Campaigns of bulletins and alerts: states, audience, rendering of mails."""
