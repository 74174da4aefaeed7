"""Uploads of checkpoints to the place that the platform names, resumed where an earlier attempt was interrupted."""
