"""The machines of a Ray cluster, where `WARRAQ_ON=ray` asks for them: who is free takes an item, results come in order.

It changes speed, never a result. What a machine that died was doing is given to another.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from warraq.environment import read_count
from warraq.errors import InputError

M = TypeVar("M")
T = TypeVar("T")
R = TypeVar("R")


def is_wanted() -> bool:
    """Whether work goes to a cluster.

    Raises:
        InputError: `WARRAQ_ON` names no place.
    """
    place = os.environ.get("WARRAQ_ON", "")
    if place not in ("", "ray"):
        raise InputError(f"WARRAQ_ON is {place!r}; it must be ray, or not be set.")
    return bool(place)


@contextmanager
def connect(cpus: int) -> Iterator[Any]:
    """The module `ray`, connected to the cluster at RAY_ADDRESS, else to one of so many `cpus` of this machine.

    Raises:
        InputError: Ray is not installed, or has no cluster at RAY_ADDRESS.
    """
    try:
        import ray
    except ImportError:
        raise InputError("WARRAQ_ON is ray and Ray is not installed; install warraq[ray].") from None
    ours = not ray.is_initialized()
    if ours:
        alone = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **{} if os.environ.get("RAY_ADDRESS") else alone)
        except ConnectionError as error:
            raise InputError(f"There is no Ray cluster at RAY_ADDRESS ({error}); start it or unset that.") from None
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def map_loaded(load: Callable[[], M], function: Callable[[M, T], R], items: Sequence[T]) -> Iterator[R]:
    """`function(load(), item)` of each item, in their order: loaded once here, or on a cluster once a GPU or a machine.

    Machines without a GPU load once for each `WARRAQ_THREADS` (or `OMP_NUM_THREADS`) of their cores where that is set.

    Raises:
        whatever `load` or `function` raises.
        InputError: as `is_wanted` and `connect`.
    """
    if is_wanted():
        with connect(len(os.sched_getaffinity(0))) as ray:
            yield from _map_on_ray(ray, load, function, items)
    elif items:
        loaded = load()
        yield from (function(loaded, item) for item in items)


class _Holder(Generic[M]):
    """A process of the cluster, which loads once it is first asked: what that raises is then the caller's."""

    def __init__(self, folder: Path, threads: int | None, load: Callable[[], M]) -> None:
        os.chdir(folder)  # the same on all machines
        if threads:
            os.environ["WARRAQ_THREADS"] = str(threads)
        self._load = load

    @cached_property
    def _loaded(self) -> M:
        return self._load()

    def call(self, function: Callable[[M, T], R], item: T) -> R:
        return function(self._loaded, item)


def _map_on_ray(ray: Any, load: Callable[[], M], function: Callable[[M, T], R], items: Sequence[T]) -> Iterator[R]:
    count, resources, threads = _share_out(ray)
    begin = ray.remote(**resources)(_Holder).remote
    idle = [begin(Path.cwd(), threads, load) for _ in range(min(count, len(items)))]
    queue = deque(enumerate(items))
    busy: dict[Any, tuple[Any, int, T]] = {}
    results: dict[int, R] = {}
    following = 0
    while following < len(items):
        while queue and idle:
            holder = idle.pop()
            number, item = queue.popleft()
            busy[holder.call.remote(function, item)] = holder, number, item
        done = ray.wait(list(busy))[0][0]
        holder, number, item = busy.pop(done)
        try:
            results[number] = ray.get(done)
            idle.append(holder)
        except ray.exceptions.RayActorError:  # it died, or cannot be reached
            queue.appendleft((number, item))
            if not busy:  # all are gone: one is begun wherever there is room, now or later
                idle.append(begin(Path.cwd(), threads, load))
        while following in results:
            yield results.pop(following)
            following += 1


def _share_out(ray: Any) -> tuple[int, dict[str, float], int | None]:
    """How many may load, what each takes of a machine, and its threads where it is not all of them."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpus := int(sum(node.get("GPU", 0) for node in nodes)):
        return gpus, {"num_gpus": 1}, None
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU")]
    threads = read_count("WARRAQ_THREADS") or read_count("OMP_NUM_THREADS") or min(cores, default=1)
    return max(1, sum(core // threads for core in cores)), {"num_cpus": threads}, threads
