"""The developer's outbox: what the `sandbox://` gateways delivered, codes in clear. Only with SANDBOX=true."""
