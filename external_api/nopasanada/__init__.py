"""Contract 1, NoPasaNadaPE: partners put their clients in and out and ask what became of their messages."""
