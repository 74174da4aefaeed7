"""What the server keeps: one SQLite file, and files of bytes beside it."""
