"""The language of what is rendered: that of the request, or the one that was chosen for a block of code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    A language that is refused (``q=0``) is only given if nothing else is left.
    """
    known = {language.lower().replace('_', '-'): language for language in languages}
    ranked = _ranked(header)
    refused = {known[name] for name, quality in ranked if quality == 0 and name in known}
    allowed = {name: language for name, language in known.items() if language not in refused} or known
    first = next(iter(allowed.values()))
    for wanted, quality in ranked:
        found = first if wanted == '*' else _match(wanted, allowed)
        if quality > 0 and found is not None:
            return found
    return first


def _ranked(header: str) -> list[tuple[str, float]]:
    """Return the languages of *header* with their qualities, the best first."""
    ranked: list[tuple[str, float]] = []
    for item in header.split(',')[:50]:
        name, *parameters = (part.strip().lower() for part in item.split(';'))
        try:
            quality = next((float(part[2:]) for part in parameters if part.startswith('q=')), 1.0)
        except ValueError:
            continue
        if name and 0 <= quality <= 1:
            ranked.append((name.replace('_', '-'), quality))
    return sorted(ranked, key=lambda pair: -pair[1])


def _match(wanted: str, known: Mapping[str, str]) -> str | None:
    """Return the language that *wanted* stands for, shortened from its end until one fits (RFC 4647, 3.4)."""
    shortened = wanted
    while shortened:
        if shortened in known:
            return known[shortened]
        shortened = shortened.rpartition('-')[0]
    base = wanted.partition('-')[0]
    return next((language for name, language in known.items() if name.partition('-')[0] == base), None)
