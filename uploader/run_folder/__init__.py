"""The small files in a run's folder by which a later process knows the run and its model."""
