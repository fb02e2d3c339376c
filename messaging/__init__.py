"""HOW IT TRAVELS: the messages, their gateways and their delivery."""
