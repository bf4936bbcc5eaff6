"""Optional TLS on every port and link of a node: all of them, or none.

A node shows its certificate to each side that dials it, which checks that against
the authority. Names in certificates are not compared, because a node may be dialled
through a proxy: it proves its name with the secret (cluster.net.auth).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files: the node's certificate and its key, and the authority that signed the
    certificates of all nodes."""

    cert: Path
    key: Path
    ca: Path


def in_folder(folder: Path) -> Tls:
    """node.pem, node.key and ca.pem of a folder. Raises OSError for one that is missing, or
    is not what it should be."""
    files = Tls(*(folder.resolve() / name for name in ("node.pem", "node.key", "ca.pem")))
    server_context(files)
    client_context(files.ca)
    return files


def server_context(tls: Tls) -> ssl.SSLContext:
    """For a port. Raises OSError for a file that is missing or no certificate, naming it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with _named(tls.cert, tls.key):
        context.load_cert_chain(tls.cert, tls.key)
    return context


def client_context(ca: Path) -> ssl.SSLContext:
    """For links, clients and administrators. Raises OSError as server_context() does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    with _named(ca):
        context.load_verify_locations(ca)
    return context


@contextlib.contextmanager
def _named(*files: Path) -> Iterator[None]:
    try:
        for file in files:
            if file.is_fifo():  # the library would wait for a writer
                raise OSError(f"{file.name} is a pipe; allowed: a PEM file")
        yield
    except OSError as error:
        names = ", ".join(map(str, files))
        raise OSError(f"tls: {names}: {error.strerror or error}") from error
