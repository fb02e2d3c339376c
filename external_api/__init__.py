"""Partners' APIs: one package for each contract, the front door they share, and the log of requests."""
