"""A checkpoint's bytes to where the platform says, from where an earlier attempt was cut."""
