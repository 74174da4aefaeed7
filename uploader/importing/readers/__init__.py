"""One module for each kind of folder that runs can be read from."""
