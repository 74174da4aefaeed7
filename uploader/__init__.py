"""Records training runs in a local journal and delivers them when the platform can be reached."""
