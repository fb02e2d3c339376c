"""Sandbox outbox for developers: messages of the `sandbox://` gateways, codes in clear. Only with SANDBOX=true."""
