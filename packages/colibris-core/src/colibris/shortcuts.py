"""Shortcuts for views."""

from typing import TYPE_CHECKING

from colibris._lazy import hand_on

if TYPE_CHECKING:
    from typing import Any

    from aiohttp import web

    def html_response_template(name: str, status: int = 200, **context: Any) -> web.Response: ...


__all__ = ['html_response_template']

__getattr__ = hand_on(__name__, {'html_response_template': 'colibris.template'}, 'colibris-templates')
