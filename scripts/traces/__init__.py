"""How far a reader has to jump to follow one event through the code."""
