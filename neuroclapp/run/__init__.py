"""A run: one experiment carried through all worlds, step by step, in one directory."""
