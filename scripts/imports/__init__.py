"""Does a folder that is imported tell the same as its training that was recorded? See `scripts/import-equivalence`."""
