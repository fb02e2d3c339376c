"""The process that keeps a line to an operator's SMSC open and sends what workers put into its lane (SMPP 3.4).

    manage.py smpp_gateway -> process.run     one thread for each smpp:// gateway of SMS_URL
    bind.Bind                                 connects, binds, serves, and starts again after a loss, ever slower
    session.Session                           one bound session: what is outstanding, what is heard, what is due
    line.Line                                 the socket, never blocking, and the PDUs that come out of it
    parts.Parts                               a text of several segments for an SMSC that refuses message_payload
    pdus, texts, reports                      what is said: requests, the text's encoding, delivery receipts
    lane.Lane                                 the database: claims, hand-overs, records, the provider's health

smpplib encodes and decodes the PDUs. Its Client is not used: it loses the half of a PDU that came before a timeout,
blocks on a slow SMSC, and writes whole PDUs, password and codes among them, into a debug log.

Promises are those of every gateway (`messaging.delivery.send`), with one addition. A message is handed over on paper,
then written to the socket, then answered. What was written and not answered is UNKNOWN; what certainly never left whole
goes back to the queue without having lost an attempt."""
