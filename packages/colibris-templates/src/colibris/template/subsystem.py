"""Templates as a subsystem of the application."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from colibris.conf import settings
from colibris.subsystems import Subsystem
from colibris.template.base import TemplateBackend

logger = logging.getLogger(__name__)


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
                paths = [root / path for path in given]
                for path in paths:
                    if not path.is_dir():
                        logger.warning('TEMPLATE: paths: there is no folder %s', path)
                options['paths'] = [own, *paths]
            if 'translations' in options and 'locale_dir' not in options:
                options['locale_dir'] = Path(package, 'locale')
        options.setdefault('debug', settings.DEBUG)
        return options


subsystem = TemplateSubsystem()
