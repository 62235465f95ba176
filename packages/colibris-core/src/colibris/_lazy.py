"""Names that core hands on from other distributions, without importing them before they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def hand_on(module: str, names: Mapping[str, str], package: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of *module*: *names* maps each name to the module of *package* that has it."""

    def __getattr__(name: str) -> Any:
        home = names.get(name)
        if home is None:
            raise AttributeError(f'module {module!r} has no attribute {name!r}')
        if not _installed(home):
            raise ImportError(f'{module}.{name} comes with another package: pip install {package}', name=home)
        return getattr(import_module(home), name)

    return __getattr__


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
