"""The one version of all Colibris distributions."""

__version__ = '1.0.0'
