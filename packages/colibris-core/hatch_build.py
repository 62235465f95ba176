"""Ship the project skeletons of the repository's top-level `templates/` inside the package."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGED = 'colibris/_templates'
LEFTOVERS = {'__pycache__', '.mypy_cache', '.pytest_cache', '.ruff_cache', '.DS_Store'}


class ShipTemplates(BuildHookInterface):
    """Add the skeletons to a source distribution, and to a wheel that is built from the tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if (root / 'PKG-INFO').is_file():  # an unpacked source distribution: they are under src/ already
            return
        if version == 'editable':  # read from the checkout, see colibris.startproject
            return
        prefix = 'src/' if self.target_name == 'sdist' else ''
        templates = root.parents[1] / 'templates'
        for path in sorted(templates.rglob('*')):
            inside = path.relative_to(templates)
            if path.is_file() and LEFTOVERS.isdisjoint(inside.parts):
                build_data['force_include'][str(path)] = f'{prefix}{PACKAGED}/{inside.as_posix()}'
