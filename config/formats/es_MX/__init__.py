"""Formats that Django finds by the language's name (FORMAT_MODULE_PATH)."""
