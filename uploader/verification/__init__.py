"""Verifying: a platform is read back and compared with what the journal holds, item by item."""
