"""Contract 2, InformaPerú: register a client, send a code, verify it."""
