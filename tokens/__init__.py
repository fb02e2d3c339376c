"""Verification codes: their lifetime, and the cooldown ladder of waits between two requests for one."""
