"""The numbers of a training, wherever they are shown."""
