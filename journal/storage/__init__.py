"""The database file: how it is opened, locked, folded and kept where it is."""
