"""HOW FAST: benchmarks against a floor measured in the same run. `python -m bench`, or one of them by its name."""
