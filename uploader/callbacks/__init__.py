"""What happens in a training, as events of the journal.

`platform.py` has the callbacks, `recording.py` what one training in progress needs; the other modules each make a part
of the payloads. Nothing here can reach the network.
"""
