"""The server's storage: one SQLite file, and the uploaded files beside it."""
