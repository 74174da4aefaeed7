"""The platform's rules: how requests change its tables, independent of HTTP."""
