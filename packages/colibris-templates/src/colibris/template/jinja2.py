"""Templates in Jinja2."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache, FileSystemLoader, PackageLoader
from jinja2.bccache import Bucket
from jinja2.ext import Extension

from colibris.template.base import TemplateBackend, listed
from colibris.template.errors import TemplateError, TemplateNotFound
from colibris.template.translations import Translator

logger = logging.getLogger(__name__)

_MARKUP = ('.html', '.htm', '.xhtml', '.xml', '.svg', '.rss', '.atom')
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
            translations,
            languages=listed('languages', languages),
            domain=domain,
            locale_dir=Path(locale_dir) if locale_dir else None,
        )
        self._packages = listed('packages', packages)
        plain = self._environment = Environment(
            loader=jinja2.ChoiceLoader([FileSystemLoader(list(self.paths)), *map(_package_loader, self._packages)]),
            autoescape=_autoescape,
            auto_reload=debug,
            bytecode_cache=_bytecode_cache(bytecode_cache),
            extensions=_extensions(listed('extensions', extensions), translated=translations is not None),
            undefined=jinja2.StrictUndefined if debug else jinja2.make_logging_undefined(_UndefinedLogger()),  # type: ignore[arg-type]
        )
        if self._translator:
            install: Callable[..., None] = plain.install_gettext_callables  # type: ignore[attr-defined]
            install(
                self._translator.gettext,
                self._translator.ngettext,
                newstyle=True,
                pgettext=self._translator.pgettext,
                npgettext=self._translator.npgettext,
            )
        self._plain = plain.overlay(autoescape=False)

    @property
    def environment(self) -> Environment:
        """Jinja2's environment, to add filters, globals and tests to."""
        return self._environment

    @property
    def languages(self) -> Sequence[str]:
        return self._translator.languages if self._translator else ()

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        return self._render(lambda: self._environment.get_template(name), context)

    def render_string(self, text: str, context: Mapping[str, Any], *, escape: bool = True) -> str:
        environment = self._environment if escape else self._plain
        return self._render(lambda: environment.from_string(text), context)

    def _render(self, load: Callable[[], jinja2.Template], context: Mapping[str, Any]) -> str:
        try:
            return load().render(context)
        except jinja2.TemplateNotFound as exc:
            file, line = _place(exc)
            places = ', '.join([*map(str, self.paths), *(f'the package {name}' for name in self._packages)])
            raise TemplateNotFound(
                f'there is no template {exc.message!r}; searched: {places or "nowhere, as paths is empty"}',
                name=str(exc.name),
                file=file,
                line=line,
            ) from exc
        except jinja2.TemplateSyntaxError as exc:
            raise TemplateError(exc.message or 'syntax error', file=exc.filename, line=exc.lineno) from exc
        except Exception as exc:
            file, line = _place(exc)
            raise TemplateError(f'{type(exc).__name__}: {exc}', file=file, line=line) from exc


def _place(exc: Exception) -> tuple[str | None, int | None]:
    """Return file and line of the template in which *exc* was raised; Jinja2 puts them into the traceback."""
    for frame, line in reversed(list(traceback.walk_tb(exc.__traceback__))):
        if '__jinja_exception__' in frame.f_globals:
            name = frame.f_code.co_filename
            return None if name in ('<template>', '<unknown>') else name, line
    return None, None


class _UndefinedLogger:
    """Logs what Jinja2 says of undefined variables, with file and line of the template."""

    def warning(self, message: str, *args: object) -> None:
        frame = sys._getframe(1)
        while frame is not None:
            template = frame.f_globals.get('__jinja_template__')
            if template is not None:
                line = template.get_corresponding_lineno(frame.f_lineno)
                logger.warning(f'%s, line %d: {message}', template.filename or '<string>', line, *args)
                return
            if frame.f_back is None:
                break
            frame = frame.f_back
        logger.warning(message, *args)

    error = warning


def _autoescape(name: str | None) -> bool:
    """Escape what is markup by its name, and what has no name."""
    if name is None:
        return True
    name = name.lower()
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith(_MARKUP)


def _extensions(extensions: Sequence[Any], *, translated: bool) -> list[str | type[Extension]]:
    for extension in extensions:
        try:
            jinja2.utils.import_string(extension) if isinstance(extension, str) else extension
        except (ImportError, AttributeError, ValueError) as exc:
            raise ValueError(f'extensions: {extension!r} cannot be imported: {exc}') from exc
    i18n = ['jinja2.ext.i18n'] if translated and 'jinja2.ext.i18n' not in extensions else []
    return [*i18n, *extensions]


def _package_loader(package: str) -> PackageLoader:
    try:
        return PackageLoader(package)
    except (ImportError, ValueError) as exc:
        raise ValueError(f'packages: {package!r} cannot be imported or has no folder "templates": {exc}') from exc


class _BytecodeCache(FileSystemBytecodeCache):
    """Keeps compiled templates; where that cannot be done, it says so and they are compiled by each process."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        try:
            super().dump_bytecode(bucket)
        except OSError as exc:
            logger.warning('the compiled template %s is not kept: %s', bucket.key, exc)


def _bytecode_cache(value: bool | str | Path) -> BytecodeCache | None:
    if value is False:
        return None
    try:
        if value is True:
            return _BytecodeCache(None)
        Path(value).mkdir(parents=True, exist_ok=True)
        return _BytecodeCache(str(value))
    except (OSError, RuntimeError) as exc:
        if value is not True:
            raise ValueError(f'bytecode_cache: {str(value)!r} is no folder that can be used: {exc}') from exc
        logger.warning('compiled templates are not kept: %s', exc)
        return None
