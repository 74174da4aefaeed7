"""The proxies that the environment names, and why one cannot be used."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import parse_url

from uploader.errors import Unreachable
from uploader.platforms.answers import host_of

_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies that the environment names for a URL's host, as `requests` takes them."""
    parts = urlsplit(url)
    return _proxies(f"{parts.scheme}://{parts.netloc}")


@functools.lru_cache(maxsize=64)
def _proxies(origin: str) -> dict[str, str]:
    found = get_environ_proxies(origin)  # takes longer than a request
    return {scheme: _whole(proxy) for scheme, proxy in found.items() if proxy}


def proxy_to(url: str, proxies: dict[str, str]) -> str | None:
    """Return host and port of the proxy that leads to a URL, None without one.

    Raises:
        Unreachable: What is named as one can be none.
    """
    proxy = select_proxy(url, proxies)
    if not proxy:
        return None
    if why := _fault(proxy):
        scheme = urlsplit(url).scheme.upper()
        raise Unreachable(
            f"the proxy for {host_of(url)} cannot be used: {why}. Correct or unset {scheme}_PROXY (or ALL_PROXY), or "
            f"name {urlsplit(url).hostname} in NO_PROXY"
        )
    return host_of(_whole(proxy))


def _whole(proxy: str) -> str:
    """Return a proxy's URL with a scheme: the library would take the host of `proxy:3128` for it."""
    return proxy if "://" in proxy else f"http://{proxy}"


@functools.lru_cache(maxsize=64)
def _fault(proxy: str) -> str | None:
    """Return why a value is no usable proxy, without showing it, as it may hold a password."""
    try:
        parts = parse_url(_whole(proxy))
    except ValueError:
        return "its URL is malformed"
    if parts.scheme not in _SCHEMES:
        return f"its URL must begin with one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}"
    if not parts.host or parts.path not in {None, "", "/"}:
        return "its URL must look like http://host:port"
    if parts.scheme.startswith("socks") and find_spec("socks") is None:
        return "for a SOCKS proxy, PySocks is missing (`pip install pysocks`)"
    return None
