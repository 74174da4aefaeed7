"""What a journal tells of its runs, in the same words to a program and to the commands that only read."""
