"""What a Python runs when it starts below `uploader exec`, or where recording is enabled; standard library only.

This folder is on `PYTHONPATH` then, and out of `sys.path` again before anything of a person's runs. No module here
imports others of this package, or is imported by them: each has to be found without it.
"""
