"""Checkpoint bytes: taken in, taken in late or again, replaced by newer ones, and told whose they are."""
