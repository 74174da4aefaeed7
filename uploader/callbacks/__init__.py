"""Trainer callbacks that turn a training into journal events, without touching the network."""
