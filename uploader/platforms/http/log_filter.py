"""Keeps signed URLs out of the logs of the libraries that send our requests."""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_QUERY = re.compile(r"\?[^\s'\"]+")
_LIBRARIES = ("urllib3", "requests")
_under_way = threading.local()


class _WithoutQueries(logging.Filter):
    """Removes queries from the URLs in a record, and the path that is hidden in this thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _hidden(record.getMessage()), ()
        if record.exc_info and record.exc_info[0]:
            record.exc_text = _hidden("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return True


def hide_queries() -> None:
    """Make the libraries log URLs without what follows the question mark.

    They log URLs at debug level, and in warnings about malformed answers. A filter applies to one logger and not to
    those below it, so this is called again to cover loggers that were created meanwhile.
    """
    for name in (*_LIBRARIES, *list(logging.root.manager.loggerDict)):
        if name.partition(".")[0] in _LIBRARIES:
            log = logging.getLogger(name)
            if not any(isinstance(one, _WithoutQueries) for one in log.filters):
                log.addFilter(_WithoutQueries())


@contextmanager
def hidden_path(url: str) -> Iterator[None]:
    """Make the libraries leave out a URL's path, too, in this thread and until the block ends.

    The URL of an upload is a credential; without a signature, its path is.
    """
    _under_way.path = urlsplit(url).path
    try:
        yield
    finally:
        _under_way.path = ""


def _hidden(text: str) -> str:
    path = getattr(_under_way, "path", "").rstrip("/")
    return _QUERY.sub("?…", text.replace(path, "/…") if path else text)
