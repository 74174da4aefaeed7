"""From journals and mirrors to proofs: where keys are kept, what a run's heads are, writing and comparing proofs."""
