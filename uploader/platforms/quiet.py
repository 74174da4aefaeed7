"""Keeps signed URLs out of the log of the library that sends our requests."""

from __future__ import annotations

import logging
import re

_QUERY = re.compile(r"\?\S+")


class _WithoutQueries(logging.Filter):
    """Takes the queries out of the URLs of a record; lets it pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_QUERY.sub("?…", one) if isinstance(one, str) else one for one in record.args)
        return True


def hide_queries() -> None:
    """Have urllib3 log URLs without what follows the question mark; at its debug level it logs each whole."""
    log = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(one, _WithoutQueries) for one in log.filters):
        log.addFilter(_WithoutQueries())
