"""Hints at what a misspelt name may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def close_names(name: str, known: Iterable[str]) -> str:
    """Return up to three of the *known* names that are like *name*, as ``'a', 'b' or 'c'``; empty if there are none."""
    *others, last = [repr(each) for each in get_close_matches(name, sorted(known), n=3)] or ['']
    return f'{", ".join(others)} or {last}' if others else last


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about *name*: which *known* name may be meant, or which names there are."""
    known = sorted(known)
    if close := close_names(str(name), known):
        return f'; did you mean {close}?'
    return f'; there are {", ".join(map(repr, known))}' if known else ''
