"""Breaks processes, power and disks under a journal, many times, and counts what was lost.

`scripts/soak` runs the full numbers; `tests/faults` runs a share of the same code with other seeds.
"""
