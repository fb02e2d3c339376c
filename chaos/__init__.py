"""Fault injection: scenarios that break a complete installation, and the check of every message afterwards.

`python -m chaos` runs all scenarios; `--only NAME` runs one. The providers' own journals say what was sent; our rows
are compared with them.
"""
