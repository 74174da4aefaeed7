"""Whether a training leaves the same on a platform when upstream streams it and when ours records it."""
