"""Ultralytics Platform: its webhooks, what they are sent, and its ul:// addresses."""
