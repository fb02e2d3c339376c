"""`make run`: supervisor, programs, processes, environment and data folder, before Django is loaded."""
