"""WHAT IS PROVED: the codes, their life, and the ladder of waits between them."""
