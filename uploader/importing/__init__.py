"""Bringing in runs that nobody recorded: from the folders that trainers and other trackers leave."""
