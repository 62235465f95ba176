"""Render templates, by the backend that the setting ``TEMPLATE`` names.

from colibris import template

template.render('my_template.txt', var1='value1', var2=16)
"""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, web

from colibris.template.base import TemplateBackend
from colibris.template.errors import TemplateError, TemplateNotFound
from colibris.template.languages import current_language, use_language
from colibris.template.subsystem import subsystem

__all__ = [
    'TemplateBackend',
    'TemplateError',
    'TemplateNotFound',
    'html_response_template',
    'render',
    'render_string',
    'use_language',
]


def render(name: str, /, **context: Any) -> str:
    """Return the template *name* rendered with the variables *context*.

    Raises TemplateNotFound, and TemplateError naming file and line for what goes wrong in it.
    """
    return subsystem.backend.render(name, context)


def render_string(text: str, /, **context: Any) -> str:
    """Return the template *text* rendered with the variables *context*, which are escaped for HTML."""
    return subsystem.backend.render_string(text, context)


def html_response_template(name: str, /, status: int = 200, **context: Any) -> web.Response:
    """Answer a request with the template *name*, rendered as HTML."""
    response = web.Response(text=render(name, **context), status=status, content_type='text/html')
    language = current_language(subsystem.backend.languages)
    if language is not None:
        response.headers[hdrs.CONTENT_LANGUAGE] = language
        response.headers[hdrs.VARY] = hdrs.ACCEPT_LANGUAGE
    return response
