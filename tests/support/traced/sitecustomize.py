"""A process of Python that ends by itself tells which modules of warraq it loaded, in a file of the folder TRACE.

Each tells which hosts it looks up and connects to, as it does, in a file of the folder TRACE_NETWORK.
"""

import atexit
import json
import os
import sys
from pathlib import Path


@atexit.register
def tell() -> None:
    loaded = sorted(name for name in sys.modules if name.startswith("warraq."))
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main is not None and main.name.startswith("warraq."):  # python -m
        loaded.append(main.name)
    if loaded:
        place = Path(os.environ["TRACE"]) / str(os.getpid())
        place.write_text("\n".join([os.environ["TRACE_STAGE"], *loaded]), encoding="utf-8")


def tell_host(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook, which sees what no library can keep from it."""
    if event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        host = arguments[0] or ""
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"} and isinstance(arguments[1], tuple):
        host = arguments[1][0]  # a socket of the file system has a path
    else:
        return
    with (Path(os.environ["TRACE_NETWORK"]) / f"{os.getpid()}.python").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps([event, host.decode() if isinstance(host, bytes) else host]) + "\n")


if "TRACE_NETWORK" in os.environ:
    sys.addaudithook(tell_host)
