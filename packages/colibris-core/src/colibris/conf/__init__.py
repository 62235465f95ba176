"""Settings: what ``PACKAGE/settings.py`` says, over the defaults, checked, each with its source."""

from colibris.conf.errors import ImproperlyConfigured
from colibris.conf.logs import configure_logging
from colibris.conf.store import Settings, settings, setup

__all__ = ['ImproperlyConfigured', 'Settings', 'configure_logging', 'settings', 'setup']
