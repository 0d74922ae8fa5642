"""Waiting for what may never come, without being held up by it."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

TICK = 0.1
"""Seconds after which the caller gets a turn, whether something has come or not."""
_AHEAD = 16  # items that are read ahead
_END = object()


def ticking(produce: Callable[[], Iterable[T]]) -> Iterator[T | None]:
    """Yield what `produce` makes in a thread of its own, and None at every tick in which nothing came.

    A read from the network cannot be interrupted. Here the caller can leave at any tick; the thread ends once its read
    does. Raises what `produce` raises.
    """
    items: Queue[object] = Queue(_AHEAD)
    abandoned = Event()

    def put(item: object) -> bool:
        while not abandoned.is_set():
            with suppress(Full):
                items.put(item, timeout=TICK)
                return True
        return False

    def work() -> None:
        try:
            with closing(_generate(produce)) as generator:
                if all(put(item) for item in generator):
                    put(_END)
        except BaseException as error:  # it is raised in the thread of the reader
            put(_Failure(error))

    Thread(target=work, name="download", daemon=True).start()
    try:
        while True:
            try:
                item = items.get(timeout=TICK)
            except Empty:
                yield None
                continue
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        abandoned.set()


class _Failure:
    """An exception on its way from one thread to the other."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _generate(produce: Callable[[], Iterable[T]]) -> Generator[T, None, None]:
    yield from produce()
