"""How mistakes in ``AUTHORIZATION`` are named."""

from __future__ import annotations

from colibris.conf import ImproperlyConfigured


def misconfigured(option: str, message: str) -> ImproperlyConfigured:
    """Return the error for a wrong *option* of ``AUTHORIZATION``."""
    return ImproperlyConfigured(f"AUTHORIZATION['{option}']: {message}", setting=f'AUTHORIZATION.{option}')
