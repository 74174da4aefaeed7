"""The way to each host: straight or through the proxy that the environment names, trusting what the settings say.

It is looked for once. `requests` looks for it again with each request, which takes as long as the request itself, and
reads the certificates again for each connection.
"""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy, urldefragauth
from urllib3.util.ssl_ import create_urllib3_context

from uploader.platforms.http.answer_deadline import DeadlineAdapter
from uploader.platforms.http.proxies import proxies_for, proxy_to

_HOSTS = 1000
"""So many are known at once. The connections to any other are closed to make room for it, also those in use."""
_SENT_WHOLE = ("http", "https")  # proxies that are asked for the whole URL, unless that is https


class Way(NamedTuple):
    """How a URL is reached.

    Attributes:
        url: In the form in which it is sent.
        target: What is asked for: the URL's path or, of some proxies, all of it.
        proxy: Host and port of the proxy, if one leads there.
        pool: The connections.
    """

    url: str
    target: str
    proxy: str | None
    pool: urllib3.HTTPConnectionPool


class Connections(DeadlineAdapter):
    """Connections, kept alive and shared by threads; `close` closes those that are idle."""

    def __init__(self, most: int, ca_bundle: str | None) -> None:
        """Prepare; nothing is opened yet.

        Args:
            most: How many are kept open for each host.
            ca_bundle: File or folder of certificates to trust, or None for the usual ones.
        """
        super().__init__(pool_connections=_HOSTS, pool_maxsize=most)
        self._ca_bundle = ca_bundle or DEFAULT_CA_BUNDLE_PATH
        self._found = functools.lru_cache(maxsize=16)(self._find)

    def way(self, url: str) -> Way:
        """Return how a URL is reached.

        Raises:
            Unreachable: What is named as a proxy can be none.
            ValueError: The address cannot be used.
            OSError: The certificates cannot be read.
        """
        return self._found(url)

    def close(self) -> None:
        """Close the connections that are idle, at once: what is remembered of ways would keep them open."""
        self._found.cache_clear()
        super().close()

    def _find(self, url: str) -> Way:
        name = proxy_to(url, proxies_for(url))
        prepared = requests.PreparedRequest()
        prepared.prepare_url(url, None)
        whole = str(prepared.url)
        proxy = select_proxy(whole, proxies_for(url)) or ""
        is_secure, through = whole.startswith("https:"), urlsplit(proxy).scheme
        needs_trust = is_secure or through == "https"  # urllib3 1.26 takes the pool's, whatever the proxy's own is
        trust: dict[str, Any] = {"ssl_context": self._trust} if needs_trust else {}
        target = urldefragauth(whole) if not is_secure and through in _SENT_WHOLE else prepared.path_url
        return Way(whole, target, name, self._manager(proxy).connection_from_url(whole, pool_kwargs=trust))

    def _manager(self, proxy: str) -> Any:
        if not proxy:
            return self.poolmanager
        trust = {"proxy_ssl_context": self._trust} if proxy.startswith("https:") else {}
        return self.proxy_manager_for(proxy, **trust)

    @functools.cached_property
    def _trust(self) -> ssl.SSLContext:
        """What is trusted; reading it takes 15 ms, so all connections share it."""
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        is_folder = Path(self._ca_bundle).is_dir()
        context.load_verify_locations(**{"capath" if is_folder else "cafile": self._ca_bundle})
        return context
