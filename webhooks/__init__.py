"""Webhooks: endpoints of partners, and the deliveries of their events to them (docs/contracts/partners.md, Webhooks).

An endpoint is a cursor on the partner's feed (`clients.events.feed`) that the dispatcher moves.
"""
