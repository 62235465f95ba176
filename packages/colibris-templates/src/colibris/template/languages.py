"""The language of what is rendered: that of the request, or the one that was chosen for a block of code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from aiohttp import hdrs

from colibris.requests import current_request

_chosen: ContextVar[str | None] = ContextVar('colibris_template_language', default=None)


@contextmanager
def use_language(language: str) -> Iterator[None]:
    """Render in *language* within the block, whatever the request asks for; for mails, tasks and the like."""
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def current_language(languages: Sequence[str]) -> str | None:
    """Return the one of *languages* to render in; the first one where nothing asks for another."""
    if not languages:
        return None
    if (chosen := _chosen.get()) is not None:
        return negotiate(chosen, languages)
    request = current_request.get()
    return negotiate(request.headers.get(hdrs.ACCEPT_LANGUAGE, '') if request is not None else '', languages)


def negotiate(header: str, languages: Sequence[str]) -> str:
    """Return the one of *languages* that the ``Accept-Language`` *header* (RFC 9110, 12.5.4) likes best.

    ``de-CH`` finds ``de`` if there is no ``de-CH``, and ``de`` finds ``de-CH``; what finds nothing gets the first one.
    """
    for wanted in _by_preference(header):
        if wanted == '*':
            return languages[0]
        found = _match(wanted, languages)
        if found is not None:
            return found
    return languages[0]


def _by_preference(header: str) -> list[str]:
    ranked: list[tuple[float, str]] = []
    for item in header.split(',')[:50]:
        name, _, parameter = item.partition(';')
        try:
            quality = float(parameter.partition('=')[2]) if parameter.strip() else 1.0
        except ValueError:
            continue
        if name.strip() and 0 < quality <= 1:
            ranked.append((quality, name.strip().lower().replace('_', '-')))
    return [name for _, name in sorted(ranked, key=lambda pair: -pair[0])]


def _match(wanted: str, languages: Sequence[str]) -> str | None:
    known = {language.lower().replace('_', '-'): language for language in languages}
    if wanted in known:
        return known[wanted]
    base = wanted.partition('-')[0]
    if base in known:
        return known[base]
    return next((language for name, language in known.items() if name.partition('-')[0] == base), None)
