"""Health of the web process, for balancers and supervisors: `/health/live` and `/health/ready`."""
