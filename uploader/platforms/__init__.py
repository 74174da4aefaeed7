"""Clients of the platforms that runs are delivered to, one module per HTTP API."""
