"""The queue as one process sees it: its file, its bells, and how it is read and written."""

from __future__ import annotations

from pathlib import Path

from colibris.taskqueue.embedded.bells import Bells
from colibris.taskqueue.embedded.file import QueueFile
from colibris.taskqueue.embedded.journal import Journal, Reader
from colibris.taskqueue.embedded.tables import STATEMENTS


class EmbeddedQueue:
    """The queue in the file at *path*, which is made by `open` if it is not there."""

    def __init__(self, path: Path) -> None:
        self.file = QueueFile(path)
        self.bells = Bells(path.with_name(f'{path.name}-bells'))
        self.journal = Journal(self.file, self.bells.ring)
        self.reader = Reader(self.file)

    def open(self) -> None:
        """Make the file unless it is there, and see that it can be read and written. Blocks.

        Raises TaskQueueUnavailable.
        """
        self.file.make(STATEMENTS)
        self.journal.run(lambda session: None)

    def close(self) -> None:
        """Write what waits and let go of the file. Blocks; may be called twice."""
        self.journal.close()
        self.reader.close()
        self.bells.close()
