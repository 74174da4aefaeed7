from __future__ import annotations

import logging

import pytest

from uploader.platforms import http  # noqa: F401 - hides them when it is imported


def test_the_librarys_debugging_log_shows_no_signature(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "urllib3"):
        arguments = ("http", "host", 80, "PUT", "/blob?signature=s3cret", "HTTP/1.1", 200, 0)
        logging.getLogger("urllib3.connectionpool").debug('%s://%s:%s "%s %s %s" %s %s', *arguments)
    assert "/blob?…" in caplog.text
    assert "s3cret" not in caplog.text
