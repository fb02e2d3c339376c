"""Re-export: migration 0006 imports the index expression from here."""

from clients.search.names import Words as Words
