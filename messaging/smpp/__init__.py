"""SMPP 3.4 client: the process that keeps a session with an operator's SMSC and sends a gateway's queue.

    manage.py smpp_gateway -> process.run     one thread for each smpp:// gateway of SMS_URL
    bind.Bind                                 connects, binds, runs sessions; reconnects with exponential backoff
    session.Session                           one bound session: outstanding submits, incoming PDUs, due messages
    connection.Connection                     the non-blocking socket and the PDUs read from it
    parts.Parts                               a text of several segments for an SMSC that refuses message_payload
    pdus, encoding, delivery_receipts         requests, the encoding of texts, delivery receipts
    gateway_queue.GatewayQueue                the database: claims, hand-overs, records, the circuit breaker
    timing.Timing                             timeouts and intervals

smpplib encodes and decodes the PDUs. Its Client is not used: it loses the half of a PDU that came before a timeout,
blocks on a slow SMSC, and writes whole PDUs, password and codes among them, into a debug log.

The guarantees are those of every gateway (`messaging.delivery.send`), with one addition. A message is first marked as
handed over in the database, then written to the socket, then answered. A message that was written and not answered is
UNKNOWN. A message whose last octet certainly never left goes back to the queue and loses no attempt."""
