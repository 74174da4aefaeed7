"""Ultralytics HUB: its API, what it is sent, and loading one of its models to train it."""
