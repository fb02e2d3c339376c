"""Hand-written statement of the sandbox's gateway. Apart from `messaging.sql`, which imports models: gateways are made
before models may be imported, when the settings are checked at start-up."""

ADD_MESSAGE = """
    INSERT INTO messaging_sandboxmessage (message_id, via, "to", text, created)
    VALUES (%(message_id)s, %(via)s, %(to)s, %(text)s, %(created)s)
"""
