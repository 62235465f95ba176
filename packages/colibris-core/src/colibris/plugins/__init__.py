"""The registry: find what installed distributions offer, and load it only when it is asked for.

A distribution offers a plug-in by an entry point: its group says what it is for, its name is the alias that people
write, its value is the target. Looking up imports nothing; only what is chosen is imported. What can go wrong is told
apart by the class of the error, and each message says what to do.
"""

from colibris.plugins.backends import Source, build, load_backend
from colibris.plugins.errors import (
    AmbiguousPlugin,
    BrokenPlugin,
    IncompatiblePlugin,
    InvalidOption,
    MissingRequirement,
    PluginError,
    UnknownPlugin,
)
from colibris.plugins.listing import Row, listing
from colibris.plugins.registry import found, load

__all__ = [
    'AmbiguousPlugin',
    'BrokenPlugin',
    'IncompatiblePlugin',
    'InvalidOption',
    'MissingRequirement',
    'PluginError',
    'Row',
    'Source',
    'UnknownPlugin',
    'build',
    'found',
    'listing',
    'load',
    'load_backend',
]
