"""Templates in Jinja2."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache, FileSystemLoader, PackageLoader
from jinja2.ext import Extension

from colibris.template.base import TemplateBackend
from colibris.template.errors import TemplateError, TemplateNotFound
from colibris.template.translations import Translator

logger = logging.getLogger(__name__)

_MARKUP = ('.html', '.htm', '.xhtml', '.xml', '.svg')
_SUFFIXES = ('.j2', '.jinja', '.jinja2')


class Jinja2Backend(TemplateBackend):
    """Renders Jinja2 templates, from folders (*paths*) and from the folder ``templates`` of installed *packages*.

    *extensions* are Jinja2's. With *translations* (the import path of what implements gettext's functions), templates
    are translated into one of *languages*, the first being the one that they are written in; catalogues lie in
    *locale_dir* under the name *domain*. Compiled templates are kept in *bytecode_cache*: True is a private folder of
    the user, a path is that folder, False is none.
    """

    def __init__(
        self,
        *,
        paths: Sequence[str | Path] = (),
        packages: Sequence[str] = (),
        extensions: Sequence[str | type[Extension]] = (),
        translations: str | None = None,
        languages: Sequence[str] = (),
        domain: str = 'messages',
        locale_dir: str | Path | None = None,
        bytecode_cache: bool | str | Path = True,
        debug: bool = False,
    ) -> None:
        super().__init__(paths=paths, debug=debug)
        if languages and translations is None:
            raise ValueError("languages: they need translations, such as 'translations': 'gettext'")
        self._translator = translations and Translator(
            translations, languages=languages, domain=domain, locale_dir=Path(locale_dir) if locale_dir else None
        )
        self._environment = Environment(
            loader=jinja2.ChoiceLoader([FileSystemLoader(list(self.paths)), *map(_package_loader, packages)]),
            autoescape=_autoescape,
            auto_reload=debug,
            bytecode_cache=_bytecode_cache(bytecode_cache),
            extensions=_extensions(extensions, translated=translations is not None),
            undefined=jinja2.StrictUndefined if debug else jinja2.make_logging_undefined(logger),
        )
        if self._translator:
            install: Callable[..., None] = self._environment.install_gettext_callables  # type: ignore[attr-defined]
            install(
                self._translator.gettext,
                self._translator.ngettext,
                newstyle=True,
                pgettext=self._translator.pgettext,
                npgettext=self._translator.npgettext,
            )

    @property
    def environment(self) -> Environment:
        """Jinja2's environment, to add filters, globals and tests to."""
        return self._environment

    @property
    def languages(self) -> Sequence[str]:
        return self._translator.languages if self._translator else ()

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        return self._render(lambda: self._environment.get_template(name), context)

    def render_string(self, text: str, context: Mapping[str, Any]) -> str:
        return self._render(lambda: self._environment.from_string(text), context)

    def _render(self, load: Callable[[], jinja2.Template], context: Mapping[str, Any]) -> str:
        try:
            return load().render(context)
        except jinja2.TemplateNotFound as exc:
            places = ', '.join(map(str, self.paths)) or 'no folder'
            raise TemplateNotFound(f'there is no template {exc.message!r}; searched: {places}') from exc
        except jinja2.TemplateSyntaxError as exc:
            raise TemplateError(exc.message or 'syntax error', file=exc.filename, line=exc.lineno) from exc
        except Exception as exc:
            file, line = _place(exc)
            raise TemplateError(f'{type(exc).__name__}: {exc}', file=file, line=line) from exc


def _place(exc: Exception) -> tuple[str | None, int | None]:
    """Return file and line of the template in which *exc* was raised; Jinja2 puts them into the traceback."""
    for frame, line in reversed(list(traceback.walk_tb(exc.__traceback__))):
        if '__jinja_exception__' in frame.f_globals:
            return frame.f_code.co_filename, line
    return None, None


def _autoescape(name: str | None) -> bool:
    """Escape what is markup by its name, and what has no name."""
    if name is None:
        return True
    name = name.lower()
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith(_MARKUP)


def _extensions(extensions: Sequence[str | type[Extension]], *, translated: bool) -> list[str | type[Extension]]:
    i18n = ['jinja2.ext.i18n'] if translated and 'jinja2.ext.i18n' not in extensions else []
    return [*i18n, *extensions]


def _package_loader(package: str) -> PackageLoader:
    try:
        return PackageLoader(package)
    except (ImportError, ValueError) as exc:
        raise ValueError(f'packages: {package!r} cannot be imported or has no folder "templates": {exc}') from exc


def _bytecode_cache(value: bool | str | Path) -> BytecodeCache | None:
    if value is False:
        return None
    return FileSystemBytecodeCache(None if value is True else str(value))
