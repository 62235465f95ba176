"""Translations in gettext's way, one catalogue a language."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from colibris.template.languages import current_language


class Translator:
    """Gives the gettext functions of the current language.

    *target* is the import path of an object that implements gettext's functions. If it has ``translation`` as the
    standard library's module has, there is a catalogue a language (``LOCALE_DIR/LANGUAGE/LC_MESSAGES/DOMAIN.mo``);
    if not, its functions serve all languages.
    """

    def __init__(self, target: str, *, languages: Sequence[str], domain: str, locale_dir: Path | None) -> None:
        self._target = _load(target)
        self.languages = tuple(languages)
        self._domain = domain
        self._locale_dir = locale_dir
        self._catalogue = functools.lru_cache(maxsize=None)(self._load_catalogue)
        for language in self.languages:
            self._catalogue(language)

    def _load_catalogue(self, language: str | None) -> Any:
        if language is None or not hasattr(self._target, 'translation'):
            return self._target
        # The first language is the one that the templates are written in: it needs no catalogue.
        optional = language == self.languages[0]
        try:
            return self._target.translation(
                self._domain, localedir=self._locale_dir, languages=[language.replace('-', '_')], fallback=optional
            )
        except OSError as exc:
            raise ValueError(
                f'languages: there is no catalogue {self._domain}.mo for {language!r} below {self._locale_dir}'
            ) from exc

    def __getattr__(self, name: str) -> Any:
        if name not in ('gettext', 'ngettext', 'pgettext', 'npgettext'):
            raise AttributeError(name)
        return functools.partial(self._call, name)

    def _call(self, name: str, *args: Any) -> str:
        translated: str = getattr(self._catalogue(current_language(self.languages)), name)(*args)
        return translated


def _load(target: str) -> Any:
    try:
        return import_module(target)
    except ModuleNotFoundError as exc:
        module, _, name = target.rpartition('.')
        if not module or (exc.name or '') not in (target, module):
            raise ValueError(f'translations: {target!r} cannot be imported: {exc}') from exc
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise ValueError(f'translations: {target!r} cannot be imported: {exc}') from exc
