"""Packs: what a journal has, in one file, for a machine that can reach a platform."""
