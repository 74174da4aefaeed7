"""A run while it is recorded, whatever trains: what Ultralytics' callbacks and any other loop have in common."""
