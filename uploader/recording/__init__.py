"""Writing one session of any training loop to a journal, or to a fallback file where that cannot be."""
