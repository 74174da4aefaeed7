"""Requests and whole answers: every failure is classified, every wait has an end."""
