"""How code is loaded when a command starts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading(*, to_stay: bool = False) -> Iterator[None]:
    """Keep the garbage collector from looking through what is being loaded; later, too, if it is *to_stay*."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if to_stay:
            gc.freeze()
        if was_on:
            gc.enable()
