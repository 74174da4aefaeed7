"""The endpoints that clients of the platforms talk to."""
