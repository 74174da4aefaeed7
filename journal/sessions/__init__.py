"""Who wrote what: sessions of a run, their order, and which of them are alive."""
