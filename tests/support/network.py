"""What the processes of a command asked of the network, in a folder of logs.

Python's own look-ups and connections are told by tests/support/traced/sitecustomize.py; those of native code as well,
where there is a strace that may trace.
"""

import ipaddress
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def _find_strace() -> str | None:
    strace = shutil.which("strace")
    works = strace and subprocess.run([strace, "-f", "--seccomp-bpf", "true"], capture_output=True).returncode == 0
    return strace if works else None


def trace_system_calls(folder: Path) -> list[str]:
    """What to put before a command, so that its connections are in `folder`/network; nothing where that cannot be."""
    strace = _find_strace()
    log = folder / "network" / f"{len(list((folder / 'network').iterdir()))}.strace"
    traced = ["-f", "--seccomp-bpf", "-qqq", "--signal=none", "--trace=connect,sendto,sendmsg,sendmmsg"]
    return [strace, *traced, "-o", str(log)] if strace else []


def find_requests(folder: Path) -> set[str]:
    """Every host but this machine that was looked up or connected to."""
    asked: set[str] = set()
    for path in folder.iterdir():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            asked |= set(_read_system_call(line) if path.suffix == ".strace" else [_read_event(line)])
    return {one for one in asked if one}


def _read_event(line: str) -> str:
    event, host = json.loads(line)
    return "" if _is_here(host) else f"{event} {host}"


def _read_system_call(line: str) -> list[str]:
    hosts = re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', line)
    port = re.search(r"port=htons\((\d+)\)", line)
    return [f"{host} {port[1] if port else ''}" for host in ("".join(one) for one in hosts)
            if not _is_here(host) or (port and port[1] == "53")]  # fmt: skip


def _is_here(host: str) -> bool:
    if host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
