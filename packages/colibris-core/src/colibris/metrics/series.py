"""Numbers that one process writes, and others can read: a file with a place for each, mapped into memory."""

from __future__ import annotations

import json
import mmap
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from colibris.measures import Kind

#: How many numbers a process can have; what comes after that is not counted.
PLACES = 65_536

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """What one number is."""

    name: str
    kind: Kind
    help: str
    labels: Labels = ()


class Numbers:
    """The numbers of this process: in *folder*, if other processes shall read them, else in its memory."""

    def __init__(self, folder: Path | None = None) -> None:
        self._known: dict[Series, int] = {}
        self._names: TextIO | None = None
        self.values: memoryview[float]
        if folder is None:
            self.values = memoryview(bytearray(8 * PLACES)).cast('d')
            return
        stem = folder / str(os.getpid())
        with (stem.with_suffix('.values')).open('w+b') as file:
            file.truncate(8 * PLACES)
            self.values = memoryview(mmap.mmap(file.fileno(), 8 * PLACES)).cast('d')
        self._names = stem.with_suffix('.names').open('w', encoding='utf-8')

    def place(self, series: Series) -> int:
        """Return where in `values` the number of *series* is; new ones begin with 0."""
        known = self._known.get(series)
        if known is None and len(self._known) < PLACES - 1:
            known = self._known[series] = len(self._known) + 1
            if self._names is not None:
                line = [known, series.name, series.kind, series.help, series.labels]
                self._names.write(f'{json.dumps(line)}\n')
                self._names.flush()
        return known or 0

    def read(self) -> Iterator[tuple[Series, float]]:
        """Yield each series and its number."""
        for series, place in self._known.items():
            yield series, self.values[place]


def read_all(folder: Path) -> Iterator[tuple[Series, float]]:
    """Yield the numbers of all processes in *folder*; of those that are gone what they counted, not their gauges."""
    for names in folder.glob('*.names'):
        alive = _is_alive(int(names.stem))
        values = array('d', names.with_suffix('.values').read_bytes())
        for line in names.read_text('utf-8').splitlines():
            place, name, kind, text, labels = json.loads(line)
            if alive or kind == Kind.COUNTER:
                yield Series(name, Kind(kind), text, tuple((key, value) for key, value in labels)), values[place]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
