"""The engine without a server: dramatiq's workers on one SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

from colibris.taskqueue.dramatiq.engine import DramatiqEngine
from colibris.taskqueue.embedded.transport import EmbeddedTransport


class EmbeddedBackend(DramatiqEngine):
    """Keeps tasks in a SQLite file, for services and workers of one user on one machine.

    - *path*: the file; a relative one starts at the project's root. It is made if it is not there, for its owner alone;
      so is a directory beside it, ``PATH-bells``, through whose sockets processes wake one another.
    """

    def __init__(self, *, path: str | os.PathLike[str] = 'tasks.db') -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ValueError(f'path must be the path of a file, not {path!r}')
        super().__init__(EmbeddedTransport(Path(path)))
