"""Ed25519 from the package `cryptography`, which is imported when something is signed or checked."""

from __future__ import annotations

from importlib.util import find_spec

from uploader.proof.signed_notes import Sign

ADVICE = "pip install 'offline-uploader[proof]'"


def is_available() -> bool:
    """Return whether anything can be signed and checked here."""
    return find_spec("cryptography") is not None


def new_seed() -> bytes:
    """Return the private part of a new key, 32 random bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_of(seed: bytes) -> bytes:
    """Return the public part of a key, 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signer(seed: bytes) -> Sign:
    """Return what signs messages with a key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).sign


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether, by a public key, a signature is that of a message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
