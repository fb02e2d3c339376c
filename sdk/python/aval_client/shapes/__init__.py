"""JSON of requests and answers as typed dictionaries. Answers may have more keys than are named here."""
