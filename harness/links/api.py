"""toxiproxy-python, corrected by subclassing.

The library keeps host and port in the class `APIConsumer`, so one process can drive
one server; it sets no time-outs, honours HTTP_PROXY, and swallows errors. But all
calls of a server come from one thread anyway (one writer a server), so here the
consumer's state belongs to the thread instead: `bind` ties the calling thread to one
server, and the library's own objects then talk to that one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, TypedDict

import requests
import toxiproxy
import toxiproxy.proxy
import toxiproxy.server
from dynamesis.harness.links.toxics import Toxic
from toxiproxy.api import APIConsumer

#: s, to connect and to wait for an answer
TIMEOUT = 2.5

_bound = threading.local()


class ApiError(Exception):
    """The server answered with an error, or with something else than was asked for."""


class NotFound(ApiError):
    """The server knows no such proxy or toxic."""


class ApiTimeout(Exception):
    """The server did not answer in time, or not at all: it must be replaced."""


class Consumer(APIConsumer):  # type: ignore[misc]  # the library has no types
    """The API of the server that the calling thread is bound to."""

    @classmethod
    def get(cls, url: str, params: Any = None, **kwargs: Any) -> requests.Response:
        return _call("GET", url, params=params, **kwargs)

    @classmethod
    def delete(cls, url: str, **kwargs: Any) -> requests.Response:
        return _call("DELETE", url, **kwargs)

    @classmethod
    def post(cls, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:
        return _call("POST", url, data=data, json=json, **kwargs)

    @classmethod
    def patch(cls, url: str, json: Any = None, **kwargs: Any) -> requests.Response:
        return _call("PATCH", url, json=json, **kwargs)


def _call(method: str, path: str, **kwargs: Any) -> requests.Response:
    url = _bound.base + path
    try:
        response: requests.Response = _bound.session.request(method, url, timeout=TIMEOUT, **kwargs)
    except (requests.Timeout, requests.ConnectionError) as error:
        raise ApiTimeout(f"{method} {url}: {error}") from error
    if not response.ok:
        kind = NotFound if response.status_code == 404 else ApiError
        raise kind(f"{method} {url}: {response.status_code} {response.text.strip()}")
    return response


def bind(port: int) -> None:
    """From now on, the calling thread talks to the server on this API port."""
    session = requests.Session()
    session.trust_env = False
    _bound.session = session
    _bound.base = f"http://127.0.0.1:{port}"


class ProxyBody(TypedDict):
    """A proxy as it is asked for."""

    name: str
    listen: str
    upstream: str
    enabled: bool


class Proxy(toxiproxy.Proxy):  # type: ignore[misc]  # the library has no types
    """A proxy of the server this thread is bound to. `standing` are its toxics, as the
    server listed them when this object was made."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.standing: list[Toxic] = kwargs.get("toxics", [])

    def enable(self) -> None:
        self._set_enabled(True)

    def disable(self) -> None:
        self._set_enabled(False)

    def _set_enabled(self, enabled: bool) -> None:
        answer = Consumer.patch(f"/proxies/{self.name}", json={"enabled": enabled}).json()
        if answer["enabled"] is not enabled:
            raise ApiError(f"proxy {self.name} reports enabled: {answer['enabled']}")
        self.enabled = enabled


class Toxiproxy(toxiproxy.Toxiproxy):  # type: ignore[misc]  # the library has no types
    """The server this thread is bound to."""

    def version(self) -> str:
        """The version that the server reports, such as 2.12.0."""
        return str(Consumer.get("/version").json()["version"])

    def create(
        self, upstream: str, name: str, listen: str | None = None, enabled: bool | None = None
    ) -> Proxy:
        """Make a proxy, in one call: the server itself refuses a name that is taken."""
        body = {"upstream": upstream, "name": name, "listen": listen, "enabled": enabled}
        return Proxy(**Consumer.post("/proxies", json=body).json())

    def populate(self, proxies: Iterable[ProxyBody]) -> list[Proxy]:
        """Make all these proxies in one call. It is not transactional: check them after."""
        answer = Consumer.post("/populate", json=list(proxies)).json()
        return [Proxy(**proxy) for proxy in answer["proxies"]]


toxiproxy.proxy.APIConsumer = Consumer
toxiproxy.server.APIConsumer = Consumer
toxiproxy.server.Proxy = Proxy
