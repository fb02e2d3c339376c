"""Contract 1, NoPasaNadaPE: partners add and remove their clients and query what became of their messages."""
