"""WHAT BREAKS IT: faults of every kind done to a whole Aval, and a count of what became of each message afterwards.

`python -m chaos`, or one scenario by its name. The providers' own logs say what was sent; our rows are only compared
with them.
"""
