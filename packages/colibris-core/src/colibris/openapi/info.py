"""What the document says about the service itself: the title, the version and the summary of its package."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from colibris.conf import settings
from colibris.openapi.converter import Json


def describe_project() -> Json:
    """Return the info object, from the package's ``__version__``, its ``pyproject.toml`` or its distribution."""
    package = settings.PROJECT_PACKAGE_NAME
    module = sys.modules.get(package) or import_module(package)
    project = _pyproject() or _distribution(package)
    version = getattr(module, '__version__', None) or project.get('version') or '0.0.0'
    info: Json = {'title': str(project.get('name') or package), 'version': str(version)}
    if project.get('description'):
        info['description'] = project['description']
    return info


def _pyproject() -> Mapping[str, Any]:
    """Return the table ``[project]`` of the ``pyproject.toml`` beside the package, if that is ours."""
    path = Path(settings.PROJECT_PACKAGE_DIR).parent / 'pyproject.toml'
    try:
        document = tomllib.loads(path.read_text('utf-8'))
    except (OSError, ValueError):
        return {}
    if document.get('tool', {}).get('colibris', {}).get('package') != settings.PROJECT_PACKAGE_NAME:
        return {}
    project: Mapping[str, Any] = document.get('project', {})
    return project


def _distribution(package: str) -> Mapping[str, Any]:
    """Return name, version and description of the distribution that installed *package*."""
    for name in metadata.packages_distributions().get(package, ()):
        found = metadata.metadata(name).json
        return {'name': found['name'], 'version': found['version'], 'description': found.get('summary')}
    return {}
