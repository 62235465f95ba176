"""Notice that a synchronous task called something asynchronous and nobody awaited it.

Python warns when it throws such a coroutine away, in the thread that made it; here the warning finds its task.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_NEVER_AWAITED = re.compile(r"coroutine '(.+)' was never awaited")

_current = threading.local()
_installed: Callable[..., None] | None = None


@contextmanager
def unawaited() -> Iterator[list[str]]:
    """Collect the names of the coroutines that the block throws away, in this thread."""
    names: list[str] = []
    _current.names = names
    try:
        yield names
    finally:
        _current.names = None


def install() -> None:
    """Let such warnings be found, unless they are already; called where tasks are run."""
    global _installed
    shown = warnings.showwarning
    if shown is _installed:
        return
    warnings.filterwarnings('always', message='coroutine .* was never awaited', category=RuntimeWarning)

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        match = _NEVER_AWAITED.search(str(message))
        names: list[str] | None = getattr(_current, 'names', None)
        if match is not None and names is not None:
            names.append(match[1].rpartition('.')[2])
        else:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = _installed = show
