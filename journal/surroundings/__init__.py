"""What kind of place a folder is, and what its files outlast: the one owner of that question."""
