"""What can be wrong with a plug-in."""

from __future__ import annotations


class PluginError(Exception):
    """Raised when a plug-in cannot be used; ``setting`` says what asked for it, where something did."""

    def __init__(self, message: str, *, setting: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.setting = setting

    def __str__(self) -> str:
        return f'{self.setting}: {self.message}' if self.setting else self.message


class UnknownPlugin(PluginError, LookupError):
    """Raised when nothing that is installed offers an alias, or a path leads nowhere."""


class AmbiguousPlugin(PluginError):
    """Raised when several distributions offer the same alias."""


class MissingRequirement(PluginError, ImportError):
    """Raised when a plug-in needs a module that is not installed; ``name`` is that module."""

    def __init__(self, message: str, *, name: str, setting: str | None = None) -> None:
        super().__init__(message, setting=setting)
        self.name = name


class BrokenPlugin(PluginError):
    """Raised when a plug-in fails to load or to be built; its own error is the cause."""


class IncompatiblePlugin(PluginError):
    """Raised when a plug-in is not of the class that is needed, or was built for another version of it."""


class InvalidOption(PluginError):
    """Raised when a backend is given options that its constructor does not take."""
