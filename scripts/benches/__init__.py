"""Benchmarks of what the project promises, each compared with a baseline that is measured in the same run.

One module per bench, with `run(setting) -> Result`. Times are taken with `time.perf_counter`, in seconds.
"""
