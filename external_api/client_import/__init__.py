"""Import of a partner's clients from a spreadsheet, in the admin."""
