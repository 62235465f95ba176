"""Tell a slip of the pen from a name of the project's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """Return the one of the *known* names that *name* is probably meant to be, or None.

    A name that only adds words to a known one (``CACHE_TTL``, ``TEST_PORT``) or a number (``DATABASE_2``) is somebody's
    own. The shorter a name, the less it may differ: with four letters (``PORT``) only swapped or doubled letters count.
    """
    known = list(known)
    if name in known:
        return None
    added_to = [f'{other}_' for other in known if name.startswith(f'{other}_') and name.strip('_') != other]
    misses = [
        (_distance(name.replace('_', ''), other.replace('_', '')), other)
        for other in known
        if all(other.startswith(part) for part in added_to) and _alike(name, other)
    ]
    return min(misses)[1] if misses else None


def closest(name: str, names: Iterable[str]) -> str:
    """Return ``; did you mean …?`` if one of *names* is close to *name*, else nothing."""
    close = difflib.get_close_matches(name, list(names), 1)
    return f'; did you mean {close[0]}?' if close else ''


def _alike(name: str, known: str) -> bool:
    given, meant = name.replace('_', ''), known.replace('_', '')
    if given == meant:
        return True
    if any(character.isdigit() and character not in meant for character in given):
        return False
    if len(meant) < 5:
        return _is_swap(given, meant) or _is_stutter(given, meant)
    if given[:1] != meant[:1]:
        return _is_swap(given, meant)
    return _distance(given, meant) <= (1 if len(meant) < 8 else 2)


def _is_swap(given: str, meant: str) -> bool:
    """Tell whether two neighbouring letters have changed places."""
    return len(given) == len(meant) and sorted(given) == sorted(meant) and _distance(given, meant) == 1


def _is_stutter(given: str, meant: str) -> bool:
    """Tell whether one letter stands twice."""
    return any(given == meant[: index + 1] + meant[index:] for index in range(len(meant)))


def _distance(left: str, right: str) -> int:
    """Count the letters to insert, drop, replace or swap with a neighbour (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, one in enumerate(left, 1):
        line = [row]
        for column, other in enumerate(right, 1):
            cost = min(above[column] + 1, line[-1] + 1, above[column - 1] + (one != other))
            if row > 1 and column > 1 and one == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, above = above, line
    return above[-1]
