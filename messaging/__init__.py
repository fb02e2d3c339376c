"""Messages, their gateways and their delivery."""
