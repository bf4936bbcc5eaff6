"""One toxiproxy-server process and the routes it carries.

Everything here blocks, and is called from one thread only. Faults are set by making
a proxy anew: changing the toxics of a live proxy can deadlock the server
(Shopify/toxiproxy issue 558). A server that does not answer is killed, started
again and given its routes and faults back.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dynamesis.harness.links import api
from dynamesis.harness.links.base import LinkRoute
from dynamesis.harness.links.faults import LinkFault, RefusedLink
from dynamesis.harness.links.provision import VERSION
from dynamesis.harness.links.toxics import toxics
from dynamesis.harness.processes.lifeline import tied
from dynamesis.harness.processes.ports import is_free
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed

#: s until a server must have answered after its start
_START = 10.0
#: A process that ends immediately, or does not answer, is started so many times in all: a
#: busy machine has been seen to lose one, and a whole test is too much to lose with it.
_ATTEMPTS = 3


class NotUp(EnvironmentFailed):
    """The process ended, or did not answer, before it was of use."""


class ToxiproxyServer:
    """A toxiproxy-server for the routes of one source."""

    def __init__(
        self, binary: Path, port: int, log: Path, routes: Sequence[LinkRoute], reaper: ProcessGuard
    ) -> None:
        self.port = port
        self.pid = -1
        self._binary = binary
        self._log = log
        self._routes = {route.name: route for route in routes}
        self._faults: dict[str, LinkFault] = {}
        self._reaper = reaper
        self._process: subprocess.Popen[bytes] | None = None
        self._api = api.Toxiproxy()

    def start(self) -> None:
        """Start the process, with every route up and its fault on it. Raises
        EnvironmentFailed, or what the API raises."""
        if not is_free(self.port):
            raise EnvironmentFailed(f"port {self.port}, for a Toxiproxy API, is taken; run again")
        api.bind(self.port)
        for attempt in range(1, _ATTEMPTS + 1):
            self._launch()
            try:
                self._wait_until_ours()
                break
            except NotUp:
                self.stop()
                if attempt == _ATTEMPTS:
                    raise
        self._api.populate(self._body(route) for route in self._routes.values())
        for name in self._faults:
            self._recreate(name)
        self.verify()

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                tied([str(self._binary), "-host", "127.0.0.1", "-port", str(self.port)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"LOG_LEVEL": "warn"},
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._reaper.add(self.pid)

    def add(self, routes: Sequence[LinkRoute]) -> str | None:
        """Carry these routes too. Returns what `set` does."""
        self._routes |= {route.name: route for route in routes}
        return self._recreate_all([route.name for route in routes])

    def set(self, changes: Mapping[str, LinkFault | None]) -> str | None:
        """Give routes their faults (None: none; a route that has none is not touched).
        Returns why the server had to be restarted for it, or None if all went well."""
        touched = [name for name, fault in changes.items() if fault or name in self._faults]
        for name in touched:
            self._faults.pop(name, None)
            if (fault := changes[name]) is not None:
                self._faults[name] = fault
        return self._recreate_all(touched)

    def _recreate_all(self, touched: Sequence[str]) -> str | None:
        try:
            for name in touched:
                self._recreate(name)
            self.verify()
        except api.ApiTimeout as silence:
            self.stop()
            self.start()
            return str(silence)
        return None

    def revive(self) -> str | None:
        """Start the process again if it has ended. Returns what `set` does."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self.stop()
        self.start()
        return f"it had ended with exit code {code}"

    def verify(self) -> None:
        """Check that every proxy is what it should be. Raises ApiError if one is not."""
        found = self._api.proxies()
        wrong = [
            f"{name} should be {expected}, is {actual}"
            for name, route in self._routes.items()
            if (expected := self._expected(route)) != (actual := _shape(found.get(name)))
        ]
        if wrong or len(found) != len(self._routes):
            raise api.ApiError(
                f"Toxiproxy on port {self.port}: "
                + "; ".join(wrong or [f"{len(found)} proxies instead of {len(self._routes)}"])
            )

    def stop(self) -> None:
        """Kill the process; it holds nothing that needs a graceful end."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._reaper.drop(self.pid)
        self._process = None

    def _recreate(self, name: str) -> None:
        route, fault = self._routes[name], self._faults.get(name)
        with suppress(api.NotFound):
            api.Proxy(**self._body(route)).destroy()
        proxy = self._api.create(**self._body(route, enabled=fault is None))
        if fault is None:
            return
        for toxic in toxics(fault):
            proxy.add_toxic(**toxic)
        if not isinstance(fault, RefusedLink):
            proxy.enable()

    def _wait_until_ours(self) -> None:
        deadline = time.monotonic() + _START
        while True:
            try:
                version = self._api.version()
                break
            except api.ApiTimeout as error:
                self._give_up_if(time.monotonic() > deadline, error)
                time.sleep(0.005)
        if version != VERSION:
            raise EnvironmentFailed(
                f"Toxiproxy {VERSION} is needed; on port {self.port} answers {version}; "
                f"set TOXIPROXY_SERVER to a binary of that version, or leave it out"
            )
        if self._api.proxies():
            raise EnvironmentFailed(
                f"a Toxiproxy in use by others answers on port {self.port}; run again"
            )

    def _give_up_if(self, late: bool, error: Exception) -> None:
        assert self._process is not None
        code = self._process.poll()
        if late or code is not None:
            why = f"no answer within {_START:g} s" if code is None else f"exit code {code}"
            raise NotUp(
                f"{self._binary} did not come up on port {self.port} ({why}; {error}); "
                f"its log is {self._log}{_last_line(self._log)}"
            ) from error

    def _body(self, route: LinkRoute, enabled: bool = True) -> api.ProxyBody:
        return {
            "name": route.name,
            "listen": route.listen,
            "upstream": route.upstream,
            "enabled": enabled,
        }

    def _expected(self, route: LinkRoute) -> tuple[Any, ...]:
        fault = self._faults.get(route.name)
        names = [toxic["name"] for toxic in toxics(fault)] if fault else []
        return route.listen, route.upstream, not isinstance(fault, RefusedLink), sorted(names)


def _shape(proxy: api.Proxy | None) -> tuple[Any, ...] | None:
    if proxy is None:
        return None
    names = sorted(toxic["name"] for toxic in proxy.standing)
    return proxy.listen, proxy.upstream, proxy.enabled, names


def _last_line(log: Path) -> str:
    """What it last wrote, as the end of a message."""
    lines = log.read_text("utf-8", "replace").splitlines()
    return f", and ends with: {lines[-1]}" if lines else ", and is empty"
