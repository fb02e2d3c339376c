"""Tools shared by tests, benchmarks and chaos: a complete installation, its processes, test servers, an SMSC."""
