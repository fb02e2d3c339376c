"""WHO: the partners, their credentials, the people they register, and the record of what staff did."""
