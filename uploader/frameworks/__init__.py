"""Adapters for training frameworks: each module imports its own framework, and nothing else of ours imports them."""
