"""What the platform makes of what it is told. Rules over its tables, apart from HTTP."""
