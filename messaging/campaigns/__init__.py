"""Campaigns of bulletins and alerts: their states, their audience, their mails."""
