"""Dialling: how nodes that are not ours reach the proxies of their pairs. An explicit table; what
a way needs is imported when it is chosen. harness.links.dialling.base has how to use one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dynamesis.harness.links.dialling.base import Dialling, DiallingContext
from dynamesis.harness.targets.system import EnvironmentFailed

#: the way that takes what there is
AUTO = "auto"


@dataclass(frozen=True)
class DiallingKind:
    """One way. `missing(links, programs)`: why it cannot be used for nodes that are configured
    with `links` ("pairs": an address for each pair; "nodes": one for each node; None: nothing)
    and run these programs, with the way out; None where it can. `pairs`: whether ordered pairs
    can be cut. `extra_ports(n, ports)`: ports it takes with n nodes of so many ports each, beside
    those of the nodes and of the links."""

    description: str
    pairs: bool
    missing: Callable[[str | None, Iterable[str]], str | None]
    make: Callable[[DiallingContext], Dialling]
    extra_ports: Callable[[int, int], int]


@dataclass(frozen=True)
class DiallingChoice:
    """The way that was chosen, and why not each of the others that would be better or was
    looked at before: the `left_out` of a DiallingContext."""

    name: str
    pairs: bool
    left_out: dict[str, str]


def _no_addresses(links: str | None, programs: Iterable[str]) -> str | None:
    return None if links == "pairs" else "its nodes take no address for each peer"


def _addresses(context: DiallingContext) -> Dialling:
    from dynamesis.harness.links.dialling.addresses import AddressDialling

    return AddressDialling(context)


def _no_shim(links: str | None, programs: Iterable[str]) -> str | None:
    from dynamesis.harness.links.dialling.programs import not_preloadable
    from dynamesis.harness.links.dialling.shim import shim

    reasons = [not_preloadable(program) for program in programs]
    why = next(filter(None, reasons), None)
    if why is None:
        try:
            shim()
        except EnvironmentFailed as failure:
            why = str(failure)
    return why


def _shim(context: DiallingContext) -> Dialling:
    from dynamesis.harness.links.dialling.shim import ShimDialling

    return ShimDialling(context)


def _no_namespaces(links: str | None, programs: Iterable[str]) -> str | None:
    from dynamesis.harness.links.dialling.namespaces import no_namespaces

    return no_namespaces()


def _namespaces(context: DiallingContext) -> Dialling:
    from dynamesis.harness.links.dialling.namespaces import NamespaceDialling

    return NamespaceDialling(context)


def _no_destinations(links: str | None, programs: Iterable[str]) -> str | None:
    return None if links in ("pairs", "nodes") else "its nodes take no address that they advertise"


def _destinations(context: DiallingContext) -> Dialling:
    from dynamesis.harness.links.dialling.addresses import DestinationDialling

    return DestinationDialling(context)


#: in the order in which they are tried
DIALLINGS: dict[str, DiallingKind] = {
    "addresses": DiallingKind(
        "each node is configured with the address of each pair's proxy",
        True,
        _no_addresses,
        _addresses,
        lambda nodes, ports: 0,
    ),
    "shim": DiallingKind(
        "a preloaded connect() leads each node to the proxies of its pairs",
        True,
        _no_shim,
        _shim,
        lambda nodes, ports: 0,
    ),
    "namespaces": DiallingKind(
        "each node has a network of its own, without root; packets of a pair are dropped",
        True,
        _no_namespaces,
        _namespaces,
        lambda nodes, ports: nodes * ports,
    ),
    "destinations": DiallingKind(
        "one proxy in front of each node, for all its peers",
        False,
        _no_destinations,
        _destinations,
        lambda nodes, ports: 0,
    ),
}


def choose(
    links: str | None, programs: Iterable[str] = (), asked: str = AUTO
) -> DiallingChoice | None:
    """The way of dialling for a store: the one asked for, or the first that can be used. None
    where no way can, so that there are no cuts; a store with neither addresses nor a program
    that runs here is such a one.

    links: as a target has it: "pairs", "nodes" or None
    programs: what nodes run, by path or name, as far as known before the start

    Raises EnvironmentFailed when the one asked for cannot be used, with the way out.
    """
    programs = tuple(programs)
    if asked != AUTO:
        why = DIALLINGS[asked].missing(links, programs)
        if why is not None:
            raise EnvironmentFailed(f"nodes cannot dial by {asked}: {why}")
        return DiallingChoice(asked, DIALLINGS[asked].pairs, {})
    left_out: dict[str, str] = {}
    for name, kind in DIALLINGS.items():
        why = kind.missing(links, programs)
        if why is None:
            return DiallingChoice(name, kind.pairs, left_out)
        left_out[name] = why
    return None
