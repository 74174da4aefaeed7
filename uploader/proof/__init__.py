"""Proofs of runs: trees over events, signed heads of them, and files that can be checked without the journal.

All of it is pure: values in, values out, and Ed25519 from the package `cryptography`, which is an extra. Where keys are
kept is in `uploader.proof_keys`; what platforms are told, in `uploader.delivery.head_sending`.
"""
