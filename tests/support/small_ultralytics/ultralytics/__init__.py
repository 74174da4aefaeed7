"""Stands in for Ultralytics in processes that are to be many and quick: its names, and a training of nothing.

Its folder is put on `PYTHONPATH`; real trainings show the same in `scripts/reach`.
"""

__version__ = "0.0"


def __getattr__(name):
    if name == "YOLO":
        from ultralytics.engine.model import Model

        return Model
    raise AttributeError(name)
