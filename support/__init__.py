"""THE AGENT'S DESK: who somebody is over all contracts, what happened to his messages, and why no code arrived."""
