"""How `explain` reads a statement and recomputes it: its source, its names, its operations."""
