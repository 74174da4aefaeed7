"""The checkpoints' bytes of a shared journal: in an object store, or in a folder that all machines mount."""
