"""Paths of probes, which are answered whatever hangs. Apart from their views: the web server reads them before it knows
what application it serves."""

STATUS = "/v1/api/status"
LIVE, READY = "/health/live", "/health/ready"
PROBES = frozenset({STATUS, LIVE, READY})
"""A slash at the end of a path is ignored where the web server chooses a thread for it."""
