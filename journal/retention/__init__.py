"""What is given up to make room, in which order, and what is recorded of it."""
