"""Building a release, and testing it as a new user would use it."""
