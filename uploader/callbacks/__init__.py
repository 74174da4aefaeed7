"""What happens in a training, as events of the journal.

`attach.py` puts `trainer_callbacks.py` into a model; `recording.py` has what one training in progress needs; the other
modules each make a part of the payloads. Nothing here can reach the network.
"""
