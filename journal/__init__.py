"""The durable outbox of training runs."""
