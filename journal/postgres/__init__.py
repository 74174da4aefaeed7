"""A shared journal in a PostgreSQL database: all that differs there from a journal in a file of SQLite."""
