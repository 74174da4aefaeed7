"""Collecting: what a node's journal holds is brought into a shared one, and what has arrived from there comes back."""
