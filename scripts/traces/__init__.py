"""How far a reader has to walk to follow one event through the code."""
