"""Break processes, power and disks under a journal, many times, and count what was lost.

`scripts/soak` runs the full numbers; `tests/faults` runs a part of the same code with other seeds.
"""
