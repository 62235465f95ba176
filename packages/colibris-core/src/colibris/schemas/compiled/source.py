"""Python source that is written line by line, and run with the objects that it names."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

# Schemas of one shape share their code; a bound, as schemas may be made while the program runs.
_SHARED = 1024


class Source:
    """Source text that is being written. What it refers to is in `names`, its globals."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self._lines: list[str] = []
        self._indent = ''
        self._count = 0

    def line(self, text: str) -> None:
        """Add a line at the present indentation."""
        self._lines.append(self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add the line *head*, and indent what is added within."""
        self.line(head)
        outside, self._indent = self._indent, self._indent + ' '
        try:
            yield
        finally:
            self._indent = outside

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Take back what is added within if it ends with an exception."""
        length, indent = len(self._lines), self._indent
        try:
            yield
        except BaseException:
            del self._lines[length:]
            self._indent = indent
            raise

    def mark(self) -> int:
        """Return where the text ends by now."""
        return len(self._lines)

    def rewind(self, mark: int) -> None:
        """Take back all that was added since *mark*."""
        del self._lines[mark:]

    def variable(self) -> str:
        """Return a name that no other variable has."""
        self._count += 1
        return f'v{self._count}'

    def constant(self, value: Any, hint: str = 'C') -> str:
        """Return an expression for *value*: a literal, or else a global name that begins with *hint*."""
        if value is None or value is True or value is False or type(value) is str:
            return repr(value)
        if type(value) is int and abs(value) < 2**63:
            return repr(value) if value >= 0 else f'({value!r})'
        name = f'{hint}{len(self.names)}'
        self.names[name] = value
        return name

    def text(self) -> str:
        """Return what was written."""
        return '\n'.join(self._lines) + '\n'

    def function(self, name: str, title: str) -> Callable[..., Any]:
        """Run what was written and return the function *name* that it defines; *title* is shown in tracebacks."""
        exec(_code(self.text(), title), self.names)
        return self.names[name]  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=_SHARED)
def _code(text: str, title: str) -> CodeType:
    filename = f'<colibris: {title} {hash(text) & 0xFFFFFFFF:08x}>'
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    return compile(text, filename, 'exec')
