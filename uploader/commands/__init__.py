"""One module per command: parse, call, exit code."""
