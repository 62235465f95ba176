"""Subsystems: the order in which they open, what closes them, and the errors on the way."""

import asyncio
from abc import abstractmethod
from importlib.metadata import EntryPoint

import pytest

from colibris import plugins, subsystems
from colibris.conf import ImproperlyConfigured, settings

log: list[str] = []


class ToyBackend(subsystems.Backend):
    def __init__(self, *, fail=False):
        self.fail = fail

    async def open(self):
        if self.fail:
            raise OSError('cannot connect')


class Toy(subsystems.Subsystem[ToyBackend]):
    group = 'colibris.toys'
    base = ToyBackend
    package = 'toys'

    def __init__(self, name, setting, requires=()):
        super().__init__()
        self.name, self.setting, self.requires = name, setting, requires

    async def open(self):
        await super().open()
        log.append(f'open {self.name}')

    async def close(self):
        await super().close()
        log.append(f'close {self.name}')


first = Toy('first', 'FIRST', requires=('second',))
second = Toy('second', 'SECOND')
third = Toy('third', 'THIRD', requires=('third',))


@pytest.fixture
def toys(project, monkeypatch):
    """Pretend that a distribution offers three subsystems."""
    log.clear()
    entries = {
        name.upper(): (EntryPoint(name.upper(), f'{__name__}:{name}', subsystems.GROUP),)
        for name in ('first', 'second', 'third')
    }
    found, load = plugins.found, plugins.load
    monkeypatch.setattr(plugins, 'found', lambda group: entries if group == subsystems.GROUP else found(group))
    objects = {'FIRST': first, 'SECOND': second, 'THIRD': third}
    monkeypatch.setattr(
        plugins, 'load', lambda group, spec: objects[spec] if group == subsystems.GROUP else load(group, spec)
    )
    return lambda **values: project(settings='\n'.join(f'{name} = {value!r}' for name, value in values.items()))


BACKEND = {'backend': ToyBackend}


async def test_a_subsystem_opens_after_those_that_it_requires_and_closing_goes_backwards(toys):
    toys()
    with settings.override(FIRST=BACKEND, SECOND=BACKEND):
        async with subsystems.running() as opened:
            assert [subsystem.name for subsystem in opened] == ['second', 'first']
            assert first.backend is not second.backend
    assert log == ['open second', 'open first', 'close first', 'close second']
    assert not first.is_open


async def test_a_failing_start_closes_what_was_opened(toys):
    toys()
    with settings.override(FIRST={'backend': ToyBackend, 'fail': True}, SECOND=BACKEND):
        with pytest.raises(OSError, match='cannot connect'):
            async with subsystems.running():
                pass
    assert log == ['open second', 'close second']
    assert subsystems.opened() == ()


async def test_what_is_not_set_is_not_opened_and_says_so_when_used(toys):
    toys()
    async with subsystems.running() as opened:
        assert opened == ()
    with pytest.raises(subsystems.NotConfigured, match='first is not configured: set FIRST') as raised:
        first.backend  # noqa: B018
    assert (raised.value.setting, raised.value.package) == ('FIRST', 'toys')


def test_before_the_settings_are_loaded_it_says_so():
    with pytest.raises(subsystems.NotConfigured, match=r'first is used before the settings are loaded: call colibris'):
        first.backend  # noqa: B018


async def test_running_within_running_leaves_the_owner_in_charge(toys):
    toys()
    with settings.override(SECOND=BACKEND):
        async with subsystems.running():
            async with subsystems.running() as inner:
                assert inner == (second,)
            assert second.is_open
    assert log == ['open second', 'close second']


async def test_a_circle_is_an_error(toys):
    toys()
    with settings.override(THIRD=BACKEND), pytest.raises(ImproperlyConfigured, match='circle: third -> third'):
        subsystems.configured()


def test_a_setting_on_which_nothing_acts_names_what_to_install(project):
    project(settings="EMAIL = {'backend': 'smtp'}")
    if plugins.found(subsystems.GROUP).get('EMAIL'):
        pytest.skip('colibris-email is installed')
    with pytest.raises(ImproperlyConfigured, match=r'EMAIL is set, but .* pip install colibris-email'):
        subsystems.configured()


def test_a_backend_that_leaves_something_abstract_is_refused():
    class Base(subsystems.Backend):
        @abstractmethod
        async def get(self, key): ...

    class Unfinished(Base):
        pass

    with pytest.raises(plugins.IncompatiblePlugin, match='does not define get'):
        plugins.build('TOY', {'backend': Unfinished}, 'colibris.toys', Base)


async def test_a_backend_is_of_no_use_in_another_event_loop():
    async def use():
        return second.backend

    with settings.override(SECOND={'backend': ToyBackend}):
        await second.open()
    assert second.backend is await use()
    with pytest.raises(RuntimeError, match='second is open in another event loop'):
        await asyncio.to_thread(asyncio.run, use())
    assert await asyncio.to_thread(lambda: second.backend) is second.backend
    await second.close()


def test_event_loops_that_follow_one_another_use_the_same_backend():
    async def use():
        return second.backend

    with settings.override(SECOND={'backend': ToyBackend}):
        asyncio.run(second.open())
    assert isinstance(asyncio.run(use()), ToyBackend)
    asyncio.run(second.close())
