"""Telling how it is, without changing anything."""
