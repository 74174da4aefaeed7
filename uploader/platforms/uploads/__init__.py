"""Uploads of checkpoints to the location that the platform names, resumed where an earlier attempt was interrupted."""
