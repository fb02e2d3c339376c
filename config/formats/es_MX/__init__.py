"""Found by Django under the language's name (FORMAT_MODULE_PATH)."""
