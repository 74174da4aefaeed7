"""Building a release and trying it as a stranger would."""
