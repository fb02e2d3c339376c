"""How dates are written: Mexico's forms, which Django has, but for the day first and in figures, as in Peru."""
