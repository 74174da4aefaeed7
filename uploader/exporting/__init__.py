"""A run's epochs in the formats of others: pure, as columns come in and text goes out; TensorBoard's by its library."""
