"""Mirrors: append-only copies of a journal as small immutable files, in a folder or store that outlives the machine."""
