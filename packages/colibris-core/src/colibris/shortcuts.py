"""Shortcuts for views."""

from typing import TYPE_CHECKING

from colibris._lazy import hand_on

if TYPE_CHECKING:
    from colibris.template import html_response_template  # type: ignore[import-not-found]

__all__ = ['html_response_template']

__getattr__ = hand_on(__name__, {'html_response_template': 'colibris.template'}, 'colibris-templates')
