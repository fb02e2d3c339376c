"""Cases: search of a person, timeline, diagnosis, and what an agent may do."""
