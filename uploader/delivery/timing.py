"""How long a drain waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The figures of one drain, all in seconds. The defaults are meant for real networks.

    Attributes:
        answer: Longest wait for a platform's answer, and for each further 64 KiB of it, before it times out.
        first_wait: Wait after the first failure of a delivery or a host; it doubles with each further one.
        shortest_wait: Least wait for anything, so that nothing can make a drain spin.
        lease: How long a claim is ours without being renewed.
        renewal: How often the claims under way are renewed.
        intake: How often a watching drain takes in what trainings left beside the journal.
        reread: How often a watching drain reads its settings again while a platform does not let it in.
        reopen: How often it tries such a platform again although nothing changed: the key may be let in there by now.
            It is also how often reads are tried again that the key does not allow.
    """

    answer: float = 60.0
    first_wait: float = 1.0
    shortest_wait: float = 0.05
    lease: float = 60.0
    renewal: float = 20.0
    intake: float = 60.0
    reread: float = 2.0
    reopen: float = 60.0
