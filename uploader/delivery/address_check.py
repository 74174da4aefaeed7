"""Whether an address has shown that a platform is there. Pure."""

from __future__ import annotations

from uploader.errors import NoKey, Refused, Transient, Unreachable
from uploader.platforms.base import Receipt

_NO_SUCH_PATH = frozenset({404, 405})
_LATER = frozenset({408, 425, 429})
_ITS_FAILURE = 500


def may_be_a_platforms(result: Receipt | Exception) -> bool:
    """Return whether the result of an attempt may have come from a platform.

    It is not where nobody was reached, where the address knows no such path, and where a sign-in page or a proxy
    answered: so do mistyped addresses. After anything else a platform may have heard of the run.
    """
    if isinstance(result, (Unreachable, NoKey)):
        return False
    if isinstance(result, Refused):
        return result.status not in _NO_SUCH_PATH
    if isinstance(result, Transient) and result.status is not None:
        return result.status >= _ITS_FAILURE or result.status in _LATER
    return True
