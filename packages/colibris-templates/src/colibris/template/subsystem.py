"""Templates as a subsystem of the application."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from colibris.conf import settings
from colibris.subsystems import Subsystem
from colibris.template.base import TemplateBackend


class TemplateSubsystem(Subsystem[TemplateBackend]):
    """The templates of the process: the project's own ``templates`` first, then those of the option ``paths``."""

    name = 'template'
    setting = 'TEMPLATE'
    group = 'colibris.template'
    base = TemplateBackend
    package = 'colibris-templates'

    def options(self, value: object) -> Mapping[str, object]:
        options = dict(super().options(value))
        package = settings.PROJECT_PACKAGE_DIR
        if package is not None:
            root = Path(package).parent
            own, given = Path(package, 'templates'), options.get('paths', ())
            if isinstance(given, (list, tuple)):
                options['paths'] = [own, *(root / path for path in given)]
            if 'translations' in options and 'locale_dir' not in options:
                options['locale_dir'] = Path(package, 'locale')
        options.setdefault('debug', settings.DEBUG)
        return options


subsystem = TemplateSubsystem()
