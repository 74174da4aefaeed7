"""Models of Ultralytics HUB: what they are called, and loading one to train or use it."""
