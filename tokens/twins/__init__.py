"""Test twins: their ladders, their room, their clock, and how they are emptied."""
