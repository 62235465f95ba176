"""Try everything that is installed, for ``colibris plugins``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import click

from colibris.plugins import explain
from colibris.plugins.backends import checked
from colibris.plugins.errors import BrokenPlugin, MissingRequirement, PluginError
from colibris.plugins.registry import found, installed, load_entry_point

SUBSYSTEMS = 'colibris.subsystems'
COMMANDS = 'colibris.commands'

#: Groups in which several distributions may use the same name: all of them are taken.
SHARED = ('colibris.command_options', 'colibris.checks')


@dataclass(frozen=True, slots=True)
class Row:
    """One offer of an installed distribution.

    ``state`` is ``ok``, ``missing requirement``, ``broken`` or ``ambiguous``; ``detail`` tells why, and what to do.
    """

    group: str
    alias: str
    distribution: str
    target: str
    state: str
    detail: str = ''


def listing() -> Iterator[Row]:
    """Load everything that is installed for Colibris, and yield a row for each offer.

    These are the groups that begin with ``colibris.`` and those of installed subsystems, whoever made them.
    """
    bases = _bases()
    ours = {group for group in installed().groups() if group.startswith('colibris.')}
    for group in sorted(ours | set(bases)):
        for alias, offers in found(group).items():
            for offer in offers:
                state, detail = _state(group, offer, offers, bases.get(group))
                yield Row(group, alias, explain.distribution(offer), offer.value, state, detail)


def _bases() -> dict[str, type]:
    """Return the base class of each group that an installed subsystem declares."""
    bases: dict[str, type] = {}
    for offers in found(SUBSYSTEMS).values():
        for offer in offers:
            try:
                subsystem: Any = load_entry_point(offer)
            except PluginError:
                continue
            group, base = getattr(subsystem, 'group', None), getattr(subsystem, 'base', None)
            if isinstance(group, str) and isinstance(base, type):
                bases[group] = base
    return bases


def _state(group: str, offer: EntryPoint, offers: tuple[EntryPoint, ...], base: type | None) -> tuple[str, str]:
    if len(offers) > 1 and group not in SHARED:
        return 'ambiguous', explain.ambiguous(group, offer.name, offers)
    try:
        target = load_entry_point(offer)
        if base is not None:
            checked(target, base, offer.name)
        if group == COMMANDS and not isinstance(target, click.Command):
            raise BrokenPlugin(f'the command {offer.name!r} is no click command but {target!r}')
    except MissingRequirement as exc:
        return 'missing requirement', str(exc)
    except PluginError as exc:
        return 'broken', str(exc)
    return 'ok', ''
