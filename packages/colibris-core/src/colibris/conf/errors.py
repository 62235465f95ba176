"""The error of a configuration that cannot be used."""

from __future__ import annotations


class ImproperlyConfigured(Exception):
    """Raised when a setting is wrong: the message names it, its source, what was expected and what to do.

    ``setting`` is the name of the setting, or of a key in it (``'DATABASE.port'``); ``source`` is where it comes from:
    ``'settings.py'``, ``'.env'``, ``'.env.default'`` or ``'environment'``.
    """

    def __init__(self, message: str, *, setting: str | None = None, source: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting
        self.source = source
