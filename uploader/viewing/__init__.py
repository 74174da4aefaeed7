"""Journals, mirrors and packs as what a dashboard shows: read only, with nothing delivered yet."""
