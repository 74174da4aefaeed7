"""HTTP endpoints for clients of the platforms."""
