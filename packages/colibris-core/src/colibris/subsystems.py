"""Subsystems: what is opened at start-up, asked for its health, and closed at shutdown.

A distribution registers its subsystem in the entry-point group ``colibris.subsystems``, under the name of the setting
that switches it on. It is imported only when that setting is set.
"""

from __future__ import annotations

import asyncio
from abc import ABC
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from colibris import plugins, transactions
from colibris.conf import ImproperlyConfigured, settings

if TYPE_CHECKING:
    from colibris.api import APIException
    from colibris.measures import Measure

GROUP = 'colibris.subsystems'

#: The settings of our own subsystems in the order in which they are opened, and the distributions that act on them.
HOMES: Mapping[str, str] = {
    'DATABASE': 'colibris-persist',
    'CACHE': 'colibris-cache',
    'TEMPLATE': 'colibris-templates',
    'EMAIL': 'colibris-email',
    'TASK_QUEUE': 'colibris-tasks',
    'AUTHENTICATION': 'colibris-auth',
    'AUTHORIZATION': 'colibris-auth',
}


class NotConfigured(Exception):
    """Raised when a subsystem is used whose setting is not set, or which is not open."""

    def __init__(self, message: str, *, setting: str, package: str) -> None:
        self.setting = setting
        self.package = package
        super().__init__(message)


class Backend(ABC):  # noqa: B024  # what is abstract is for the base classes of subsystems to say
    """What every backend base class builds on; a backend overrides what it needs, and must what is abstract."""

    #: A plug-in that was built for another version of its base class is refused.
    api_version: ClassVar[int] = 1

    async def open(self) -> None:  # noqa: B027
        """Connect; raise if that cannot be done."""

    async def close(self) -> None:  # noqa: B027
        """Release everything that `open` and the use since then have taken."""

    async def check_health(self) -> None:  # noqa: B027
        """Raise if the backend cannot do its work at the moment."""


B = TypeVar('B', bound=Backend)

#: Asked at each use of a subsystem, so without the call between; None where no event loop runs.
_running_loop = asyncio._get_running_loop


def refuse_beside(loop: asyncio.AbstractEventLoop, name: str) -> None:
    """Raise RuntimeError if *loop*, to which *name* belongs, runs at the same time as the one that uses it now.

    Where loops follow one another, as those of tests do, each may use it.
    """
    if loop.is_running():
        raise RuntimeError(
            f'{name} is open in another event loop than this one, which asyncio.run or the like has made: await it '
            'where the application or the worker runs; write a task that needs it as "async def"'
        )


class Subsystem(Generic[B]):
    """One subsystem of a process: its setting, its backends and their life cycle."""

    name: ClassVar[str]
    setting: ClassVar[str]
    group: ClassVar[str]
    base: ClassVar[type[Backend]]
    package: ClassVar[str]
    #: Names of the subsystems that must be open before this one, where they are configured.
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self._backend: B | None = None
        #: The event loop in which it was opened: what it holds, such as connections, is of use there alone.
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        return self._backend is not None

    @property
    def backend(self) -> B:
        """The open backend. Raises NotConfigured when there is none, and what `refuse_beside` raises."""
        if self._backend is None:
            raise self._not_configured()
        if (running := _running_loop()) is not self._loop and running is not None and self._loop is not None:
            refuse_beside(self._loop, self.name)
        return self._backend

    def _not_configured(self) -> NotConfigured:
        if not settings.readable:
            reason = (
                f'{self.name} is used before the settings are loaded: call colibris.conf.setup() and enter "async with '
                'colibris.subsystems.running():" first'
            )
        elif not settings.is_set(self.setting):
            reason = (
                f'{self.name} is not configured: set {self.setting} in settings.py (see the guide of {self.package})'
            )
        else:
            reason = (
                f'{self.name} is configured by {self.setting} but not open; it is open while the application runs, and '
                'within "async with colibris.subsystems.running():" in commands and scripts'
            )
        return NotConfigured(reason, setting=self.setting, package=self.package)

    def options(self, value: object) -> Mapping[str, object]:
        """Return the setting's *value* in its dictionary form."""
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured(
                f'{self.setting} must be a dictionary with the key "backend", not {type(value).__name__}',
                setting=self.setting,
            )
        return value

    def configure(self) -> B:
        """Build the backend that the settings ask for; nothing is opened."""
        options = self.options(getattr(settings, self.setting))
        return cast('B', plugins.build(self.setting, options, self.group, self.base, source=settings.source))

    def prepare(self) -> None:
        """Load what the project's code needs before anything is opened, such as models; called before routes are."""

    async def open(self) -> None:
        """Build the backend and open it."""
        backend = self.configure()
        try:
            await backend.open()
        except BaseException:
            await backend.close()
            raise
        self._backend = backend
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Close the backend."""
        backend, self._backend, self._loop = self._backend, None, None
        if backend is not None:
            await backend.close()

    async def check_health(self) -> None:
        """Raise if the subsystem cannot do its work at the moment."""
        await self.backend.check_health()

    def model_modules(self) -> tuple[str, ...]:
        """Return the import paths of the model modules that this subsystem brings as it is configured."""
        return ()

    def translate(self, error: Exception) -> APIException | None:
        """Return the API error that stands for *error*, if it is one of this subsystem's."""
        return None

    def measures(self) -> Iterable[Measure] | Awaitable[Iterable[Measure]]:
        """Return numbers that tell how the subsystem does, for METRICS; asked each second while it is open.

        It may be an async method, and should be quick.
        """
        return ()

    @asynccontextmanager
    async def test_session(self) -> AsyncIterator[None]:
        """Be open for a run of tests."""
        await self.open()
        try:
            yield
        finally:
            await self.close()

    @asynccontextmanager
    async def test_case(self, *, isolated: bool = False) -> AsyncIterator[None]:
        """Keep one test from seeing what another did.

        An *isolated* test changes what it pleases, for good; what it leaves behind is cleared away after it.
        """
        yield


def configured() -> list[Subsystem[Any]]:
    """Return the subsystems whose setting is set, in the order in which they are opened.

    Raises ImproperlyConfigured when a setting is set and nothing that is installed acts on it.
    """
    names = [*HOMES, *(name for name in plugins.found(GROUP) if name not in HOMES)]
    return _in_order([_load(name) for name in names if settings.is_set(name)])


def _load(setting: str) -> Subsystem[Any]:
    if not plugins.found(GROUP).get(setting):
        package = HOMES[setting]
        raise ImproperlyConfigured(
            f'{setting} is set, but nothing that is installed acts on it: pip install {package}', setting=setting
        )
    subsystem = plugins.load(GROUP, setting)
    if not isinstance(subsystem, Subsystem):
        raise plugins.BrokenPlugin(f'{setting} in {GROUP!r} must be a Subsystem object, not {subsystem!r}')
    return subsystem


def _in_order(found: Sequence[Subsystem[Any]]) -> list[Subsystem[Any]]:
    """Sort so that each comes after those that it requires; otherwise the order stays."""
    by_name = {subsystem.name: subsystem for subsystem in found}
    ordered: dict[str, Subsystem[Any]] = {}

    def place(subsystem: Subsystem[Any], path: tuple[str, ...]) -> None:
        if subsystem.name in path:
            circle = ' -> '.join((*path, subsystem.name))
            raise ImproperlyConfigured(
                f'subsystems require one another in a circle: {circle}', setting=subsystem.setting
            )
        for name in subsystem.requires:
            if name in by_name and name not in ordered:
                place(by_name[name], (*path, subsystem.name))
        ordered.setdefault(subsystem.name, subsystem)

    for subsystem in found:
        place(subsystem, ())
    return list(ordered.values())


_running: list[Subsystem[Any]] | None = None


def opened() -> Sequence[Subsystem[Any]]:
    """Return the subsystems that are open now, in opening order."""
    return tuple(_running or ())


@asynccontextmanager
async def running() -> AsyncIterator[Sequence[Subsystem[Any]]]:
    """Open the configured subsystems, and close them in reverse at the end.

    Within another `running` or `adopt` block it does nothing: whoever opened them closes them.
    """
    if _running is not None:
        yield opened()
        return
    found = configured()
    async with AsyncExitStack() as stack:
        if settings.is_set('TRACING') and settings.TRACING:
            from colibris.tracing import setup

            await stack.enter_async_context(setup.running())
        stack.push_async_callback(transactions.drain)
        for subsystem in found:
            await subsystem.open()
            stack.push_async_callback(subsystem.close)
        with adopt(found):
            yield opened()


class adopt:  # reads as a statement: with adopt(...):
    """Declare *found* to be the subsystems that are open; for whoever opens them by other means, such as tests."""

    def __init__(self, found: Sequence[Subsystem[Any]]) -> None:
        self._found = list(found)

    def __enter__(self) -> None:
        global _running
        if _running is not None:
            raise RuntimeError('the subsystems of this process are open already')
        _running = self._found

    def __exit__(self, *exc_info: object) -> None:
        global _running
        _running = None


def model_modules() -> tuple[str, ...]:
    """Return the import paths of all model modules: the project's, then those that configured subsystems bring."""
    return tuple(_model_modules())


def _model_modules() -> Iterator[str]:
    own = f'{settings.PROJECT_PACKAGE_NAME}.models'
    if find_spec(own) is not None:
        yield own
    for subsystem in configured():
        yield from subsystem.model_modules()


def translate(error: Exception) -> APIException | None:
    """Return the API error by which an open subsystem wants *error* to be answered."""
    for subsystem in opened():
        if (translated := subsystem.translate(error)) is not None:
            return translated
    return None
