from __future__ import annotations

import logging

import pytest

from uploader.platforms.http.log_filter import hidden_path
from uploader.platforms.http.transport import Transport

URL = "https://storage/blob?signature=s3cret"


@pytest.mark.parametrize(
    "name", ["urllib3", "urllib3.connectionpool", "urllib3.connection", "urllib3.made.later", "requests"]
)
def test_the_libraries_logs_show_no_signature(caplog: pytest.LogCaptureFixture, name: str) -> None:
    log = logging.getLogger(name)
    Transport().close()  # hides them
    with caplog.at_level(logging.DEBUG, name):
        log.debug(
            '%s://%s:%s "%s %s %s" %s %s', "http", "host", 80, "PUT", "/blob?signature=s3cret", "HTTP/1.1", 200, 0
        )
        log.warning(f"Failed to parse {URL}")
        log.warning("Failed to parse headers (url=%s): %s", URL, ValueError(f"unparsed data: {URL!r}"))
        try:
            raise ValueError(URL)
        except ValueError:
            log.warning("Failed to parse (%(url)s)", {"url": URL}, exc_info=True)
    assert "blob?…" in caplog.text
    assert "Traceback" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_hidden_path_is_hidden_wherever_it_stands_until_the_block_ends(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("urllib3.connectionpool")
    Transport().close()  # hides queries
    with caplog.at_level(logging.DEBUG, log.name):
        with hidden_path("https://storage/s3cret/1/"):
            log.debug("PUT %s", "/s3cret/1/")
            log.warning("Failed to parse headers (url=%s)", "https://storage/s3cret/1")
        with hidden_path("https://storage/"):
            log.debug("PUT / HTTP/1.1")
        assert "s3cret" not in caplog.text
        assert "PUT / HTTP/1.1" in caplog.text
        log.debug("GET /s3cret/1")
    assert "GET /s3cret/1" in caplog.text
