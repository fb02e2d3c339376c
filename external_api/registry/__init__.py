"""Contract 3, the external client registry: partners keep their clients here under their own ids."""
