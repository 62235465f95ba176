"""The façade: the examples of the documentation, and what happens when nothing is configured."""

import pytest

from colibris import cache, plugins, subsystems
from colibris.cache.locmem import LocMemBackend
from colibris.cache.redis import RedisBackend
from colibris.cache.subsystem import subsystem
from colibris.conf import settings


@pytest.mark.usefixtures('opened')
async def test_set_get_delete():
    await cache.set('my_key', {'some': 'value'}, lifetime=300)
    assert await cache.get('my_key', default='some_default') == {'some': 'value'}
    await cache.delete('my_key')
    assert await cache.get('my_key', default='some_default') == 'some_default'


@pytest.mark.usefixtures('opened')
async def test_every_function_reaches_the_backend():
    assert await cache.add('a', 1)
    assert await cache.has('a')
    assert await cache.touch('a', 5)
    assert await cache.incr('a') == 2
    assert await cache.decr('a') == 1
    await cache.set_many({'b': 2})
    assert await cache.get_many(['a', 'b']) == {'a': 1, 'b': 2}
    assert await cache.delete_many(['a']) == 1
    assert await cache.get_or_set('c', lambda: 3) == 3
    await cache.clear()
    assert not await cache.has('b')


async def test_without_a_setting_the_cache_says_what_to_set():
    with settings.override(), pytest.raises(subsystems.NotConfigured, match=r'set CACHE in settings\.py'):
        await cache.get('key')


@pytest.mark.parametrize(
    ('backend', 'target'),
    [
        ('locmem', LocMemBackend),
        ('redis', RedisBackend),
        ('colibris.cache.redis.RedisBackend', RedisBackend),
        ('colibris.cache.locmem:LocMemBackend', LocMemBackend),
    ],
)
def test_backends_are_found_by_alias_and_by_path(backend, target):
    with settings.override(CACHE={'backend': backend}):
        assert type(subsystem.configure()) is target


def test_an_unknown_option_names_the_setting_and_the_key():
    with settings.override(CACHE={'backend': 'locmem', 'max_entry': 5}):
        with pytest.raises(plugins.PluginError, match=r'CACHE.*max_entry.*max_entries'):
            subsystem.configure()


def test_keys_begin_with_the_name_of_the_project():
    with settings.override(CACHE={'backend': 'locmem'}, PROJECT_PACKAGE_NAME='shop'):
        assert subsystem.configure().prefix == 'shop'
