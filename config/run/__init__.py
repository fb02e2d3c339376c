"""`make run`: supervisor, programs, processes, environment and data folder. Nothing here needs Django loaded."""
