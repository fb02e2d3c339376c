"""What tests, benchmarks and chaos share: a whole Aval to start, its processes, servers of its own, an SMSC."""
