"""Paths of probes, which are answered whatever hangs. Apart from their views: the web server reads them before it knows
what application it serves."""

STATUS = "/v1/api/status"
LIVE, READY = "/health/live", "/health/ready"
PROBES = frozenset({STATUS, f"{STATUS}/", LIVE, READY})
"""Exactly the paths that are answered by a probe: any other one is a page, which may wait for a database that hangs."""
