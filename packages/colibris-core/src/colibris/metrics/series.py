"""Numbers that one process writes, and others can read: a file with a place for each, mapped into memory."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import time
from array import array
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
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
        folder.mkdir(parents=True, exist_ok=True)  # who tidies temporary files may have removed it
        with _locked(folder, fcntl.LOCK_EX):
            _bury(folder)
            stem = folder / f'{os.getpid()}-{time.time_ns()}'
            with stem.with_suffix('.values').open('w+b') as file:
                file.truncate(8 * PLACES)
                self.values = memoryview(mmap.mmap(file.fileno(), 8 * PLACES)).cast('d')
            self._names = stem.with_suffix('.names').open('w', encoding='utf-8')
            fcntl.flock(self._names, fcntl.LOCK_EX)  # until this process ends, however it does

    def place(self, series: Series) -> int:
        """Return where in `values` the number of *series* is; new ones begin with 0."""
        known = self._known.get(series)
        if known is None and len(self._known) < PLACES - 1:
            known = self._known[series] = len(self._known) + 1
            if self._names is not None:
                self._names.write(f'{json.dumps([known, *_described(series)])}\n')
                self._names.flush()
        return known or 0

    def read(self) -> Iterator[tuple[Series, float]]:
        """Yield each series and its number."""
        for series, place in self._known.items():
            yield series, self.values[place]


def read_all(folder: Path) -> Iterator[tuple[Series, float]]:
    """Yield the numbers of all processes in *folder*; of those that are gone what they counted, not their gauges."""
    with _locked(folder, fcntl.LOCK_SH):
        found = [*_read(folder / _GONE), *(each for names in folder.glob('*.names') for each in _read(names))]
    yield from found


#: The file of what all processes that are gone have counted.
_GONE = 'gone.json'


def _bury(folder: Path) -> None:
    """Add up what processes that are gone have counted, so that their files do not become more and more."""
    gone = [names for names in folder.glob('*.names') if not _is_alive(names)]
    if not gone:
        return
    sums: dict[Series, float] = defaultdict(float)
    for series, value in [*_read(folder / _GONE), *(each for names in gone for each in _read(names))]:
        sums[series] += value
    lines = [json.dumps([value, *_described(series)]) for series, value in sums.items()]
    fresh = folder / f'{_GONE}.new'
    fresh.write_text(''.join(f'{line}\n' for line in lines), 'utf-8')
    fresh.replace(folder / _GONE)
    for names in gone:
        names.unlink()
        names.with_suffix('.values').unlink(missing_ok=True)


def _read(names: Path) -> Iterator[tuple[Series, float]]:
    """Yield what one process counted, and its gauges if it is alive; or what those counted that are gone."""
    try:
        lines = names.read_text('utf-8').splitlines(keepends=True)
        if names.name == _GONE:
            yield from ((_series(*rest), value) for value, *rest in map(json.loads, lines))
            return
        values = array('d', names.with_suffix('.values').read_bytes())
    except FileNotFoundError:
        return
    alive = _is_alive(names)
    for line in lines:
        if not line.endswith('\n'):  # it is being written
            break
        place, *rest = json.loads(line)
        series = _series(*rest)
        if alive or series.kind is Kind.COUNTER:
            yield series, values[place]


def _described(series: Series) -> tuple[str, str, str, Labels]:
    return series.name, series.kind, series.help, series.labels


def _series(name: str, kind: str, text: str, labels: list[list[str]]) -> Series:
    return Series(name, Kind(kind), text, tuple((key, value) for key, value in labels))


def _is_alive(names: Path) -> bool:
    """Tell whether the process lives that writes *names*: it holds a lock on it, as its number may be another's now."""
    with names.open('rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with (folder / 'lock').open('a') as file:
        fcntl.flock(file, how)
        yield
