"""Networking off, for every Python process that has this folder on PYTHONPATH.

The tests put it there, so that notebook kernels start with it: a lesson that reaches for the
network then fails here as it would on a reader's laptop without one. Loopback and local sockets
stay open, because Jupyter and multiprocessing talk through them.
"""

import sys

_LOCAL = {None, "", "localhost", "::1", b"localhost"}


def _is_local(host: object) -> bool:
    return host in _LOCAL or str(host).startswith("127.")


def _refuse(event: str, arguments: tuple) -> None:
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    else:
        return
    if not _is_local(host):
        raise OSError(f"networking is disabled here, but something asked for {host!r}")


sys.addaudithook(_refuse)
