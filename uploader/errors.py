"""Everything that can go wrong between the journal and a platform, as one tree.

UploaderError
├── SettingsError           a setting or an argument cannot be used
├── DrainLocked             another drain works on this journal
├── ModelUnavailable        a model of HUB cannot be loaded, now or ever
└── DeliveryError           one attempt at one delivery did not succeed
    ├── Unreachable         no connection was made; nothing was sent
    ├── UnknownOutcome      the request went out, no whole answer came back
    ├── Transient           an answer that says "later", or no answer of the platform's
    │   └── Foreign         what answered is not the platform: a proxy, a firewall, a sign-in page
    ├── CredentialsRefused  the key is missing or not accepted; nobody's delivery is at fault, but it may have arrived
    │   ├── ReadRefused     it may not read what has to be known first; what else it may do is not said
    │   └── NoKey           there is none; nothing was sent
    │       ├── KeyNotForHere   those that there are belong to other addresses
    │       └── NoAddress       nobody knows where the platform is
    ├── Refused             the platform will never take this delivery
    │   ├── Forbidden       the key may not do this to this run; what else it may do is not said
    │   ├── RunGone         the platform no longer has the run; nothing of it can be delivered
    │   └── FileGone        the platform names a file that its storage does not have
    ├── BlobUnusable        the checkpoint's bytes are missing, or not those that were journaled
    ├── Damaged             what the journal holds of the delivery cannot be read
    ├── OlderCopy           the platform has more of the run than this journal; nothing was sent
    └── Interrupted         this program was told to stop in the middle of it

Messages name the cause and the next step. They never hold a key or a URL's query.
"""

from __future__ import annotations


class UploaderError(Exception):
    """Base of every error that this package raises on purpose."""


class SettingsError(UploaderError):
    """A setting from the environment, a file or the command line cannot be used."""


class DrainLocked(UploaderError):
    """Another drain holds the journal. Harmless: it does the work.

    Attributes:
        does_all: Whether it also does the work of a background drain: it ends only when no training leaves it any.
    """

    def __init__(self, message: str, *, does_all: bool = False) -> None:
        super().__init__(message)
        self.does_all = does_all


class ModelUnavailable(UploaderError):
    """A model of HUB cannot be loaded."""


class DeliveryError(UploaderError):
    """Base of what one attempt at one delivery can come to, apart from success."""


class Unreachable(DeliveryError):
    """The host could not be reached: no route, no name, refused, or no secure connection."""


class UnknownOutcome(DeliveryError):
    """The connection broke after the request began; the platform may or may not have handled it."""


class Transient(DeliveryError):
    """The same request may succeed later.

    Attributes:
        status: The HTTP status, or None when there was none.
        retry_after: Seconds that the server asked to be left alone for, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class Foreign(Transient):
    """Something that is not the platform's answered, such as the page of a proxy or a firewall: no verdict."""


class CredentialsRefused(DeliveryError):
    """The key is missing, or the platform does not accept it.

    Whoever answers so may have handled the request before: only `NoKey` says that nothing was sent.
    """


class ReadRefused(CredentialsRefused):
    """The key was refused when the platform was read. A key for writing alone is answered so, and one for nothing.

    Attributes:
        answer: What the platform said.
    """

    def __init__(
        self, answer: str, advice: str = "the key may not read there; what needs that waits for a key that may read"
    ) -> None:
        super().__init__(f"{answer} ({advice})")
        self.answer = answer


class NoKey(CredentialsRefused):
    """There is no key to send."""


class KeyNotForHere(NoKey):
    """A key is for the address that it was set for, and this is another one."""


class NoAddress(NoKey):
    """A platform was chosen by its name, and nobody has said where it is."""


class Refused(DeliveryError):
    """The platform answered that it will never take this delivery.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Forbidden(Refused):
    """The platform accepts the key, and does not let it do this: it is about one run, or one message of it."""


class RunGone(Refused):
    """The platform gave the run an id once and does not know it any more."""


class FileGone(Refused):
    """The platform says where a file can be downloaded, and there is none."""


class BlobUnusable(DeliveryError):
    """The bytes of a checkpoint or a dataset are missing, or are not the ones that were journaled."""


class Damaged(DeliveryError):
    """What the journal holds of the delivery cannot be read, so nothing was sent."""


class OlderCopy(DeliveryError):
    """The platform has more of the run than the journal, which is an older copy of another one: nothing was sent."""


class Interrupted(DeliveryError):
    """The drain was told to stop while this delivery was under way."""
