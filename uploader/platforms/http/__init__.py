"""Sends requests and reads complete answers; every failure is classified, every wait is limited."""
