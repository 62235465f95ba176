"""Looking up and loading plug-ins: what is found, and how each fault is told."""

import importlib.metadata
import sys

import pytest

from colibris import plugins
from colibris.plugins import registry


def test_looking_up_imports_nothing(install):
    install('toys', {'colibris.toys': {'car': 'toy_car:Car'}}, toy_car='class Car: pass')
    assert list(plugins.found('colibris.toys')) == ['car']
    assert 'toy_car' not in sys.modules


def test_loading_imports_only_what_is_chosen(install):
    install(
        'toys',
        {'colibris.toys': {'car': 'toy_car:Car', 'bus': 'toy_bus:Bus'}},
        toy_car='class Car: pass',
        toy_bus='class Bus: pass',
    )
    assert plugins.load('colibris.toys', 'car').__name__ == 'Car'
    assert 'toy_bus' not in sys.modules


def test_what_is_installed_is_read_once(monkeypatch):
    reads = []
    real = importlib.metadata.entry_points
    monkeypatch.setattr(registry, 'entry_points', lambda: reads.append(1) or real())
    plugins.found.cache_clear()
    for group in ('colibris.toys', 'colibris.commands', 'colibris.toys'):
        plugins.found(group)
    assert reads == [1]


def test_the_object_itself_needs_no_look_up():
    assert plugins.load('colibris.toys', dict) is dict


@pytest.mark.parametrize('spec', ['toy_car.Car', 'toy_car:Car'])
def test_a_path_leads_to_a_class(install, spec):
    install('toys', {}, toy_car='class Car: pass')
    assert plugins.load('colibris.toys', spec).__name__ == 'Car'


@pytest.mark.parametrize('spec', ['toy_car.Car.Door', 'toy_car:Car.Door'])
def test_a_path_leads_to_a_nested_attribute(install, spec):
    install('toys', {}, toy_car='class Car:\n    class Door: pass')
    assert plugins.load('colibris.toys', spec).__name__ == 'Door'


def test_an_unknown_alias_names_the_closest_and_what_is_installed(install):
    install('toys', {'colibris.toys': {'rocket': 'toy:Rocket', 'car': 'toy:Car'}})
    with pytest.raises(plugins.UnknownPlugin) as caught:
        plugins.load('colibris.toys', 'Rokcet')
    assert "did you mean 'rocket'?" in str(caught.value)
    assert 'installed: car, rocket' in str(caught.value)


@pytest.mark.parametrize(
    ('group', 'alias', 'distribution'),
    [
        ('colibris.cache', 'redis', 'colibris-cache'),
        ('colibris.authentication', 'jwt', 'colibris-auth'),
        ('colibris.taskqueue', 'dramatiq', 'colibris-tasks'),
        ('colibris.template', 'jinja2', 'colibris-templates'),
    ],
)
def test_an_alias_of_a_package_that_is_not_installed_says_what_to_install(monkeypatch, group, alias, distribution):
    monkeypatch.setattr(registry, 'found', lambda group: {})
    with pytest.raises(plugins.UnknownPlugin, match=f'pip install {distribution}$') as caught:
        plugins.load(group, alias)
    assert 'did you mean' not in str(caught.value)


def test_an_alias_of_ours_says_what_to_install_beside_a_strangers_plug_in(install, monkeypatch):
    install('toy-cache', {'colibris.cache': {'memcached': 'toy:Toy'}})
    offers = {'memcached': plugins.found('colibris.cache')['memcached']}
    monkeypatch.setattr(registry, 'found', lambda group: offers)
    with pytest.raises(plugins.UnknownPlugin, match=r'installed: memcached.*pip install colibris-cache'):
        plugins.load('colibris.cache', 'redis')


def test_an_alias_of_an_empty_group_says_so():
    with pytest.raises(plugins.UnknownPlugin, match=r'nothing is installed for this group'):
        plugins.load('nobody.knows', 'car')


def test_an_alias_of_two_distributions_names_both_and_their_paths(install):
    install('toys', {'colibris.toys': {'car': 'toy_car:Car'}}, toy_car='class Car: pass')
    install('other-toys', {'colibris.toys': {'car': 'other_car:Car'}}, version='2.1', other_car='class Car: pass')
    with pytest.raises(plugins.AmbiguousPlugin) as caught:
        plugins.load('colibris.toys', 'car')
    for part in ('toys 1.0', 'other-toys 2.1', 'choose by path', "'toy_car:Car'", "'other_car:Car'"):
        assert part in str(caught.value)
    assert plugins.load('colibris.toys', 'other_car:Car').__module__ == 'other_car'


def test_two_commands_of_one_name_cannot_be_chosen_by_path(install):
    for name in ('one', 'two'):
        install(name, {'colibris.commands': {'fly': f'{name}:fly'}})
    with pytest.raises(plugins.AmbiguousPlugin, match=r'uninstall all but one') as caught:
        plugins.load('colibris.commands', 'fly')
    assert 'one 1.0' in str(caught.value)
    assert 'two 1.0' in str(caught.value)


def test_a_missing_requirement_names_the_extra_of_the_alias(install):
    install(
        'toy-cache',
        {'colibris.cache': {'far': 'toy_far:Far'}},
        extras=['near', 'far'],
        toy_far='import a_missing_driver.client',
    )
    with pytest.raises(plugins.MissingRequirement) as caught:
        plugins.load('colibris.cache', 'far')
    assert (
        str(caught.value) == "'far' (toy-cache 1.0) needs the module 'a_missing_driver': pip install 'toy-cache[far]'"
    )
    assert caught.value.name == 'a_missing_driver'
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ('requires', 'command'),
    [
        (['A-Missing.Driver>=2; extra == "fast"'], "pip install 'toy-cache[fast]'"),
        (['a_missing_driver>=2'], "pip install 'a_missing_driver'"),
        (['other'], "install the distribution that brings 'a_missing_driver'"),
    ],
)
def test_a_missing_requirement_without_such_an_extra_is_looked_for_in_the_requirements(install, requires, command):
    install(
        'toy-cache', {'colibris.cache': {'far': 'toy_far:Far'}}, requires=requires, toy_far='import a_missing_driver'
    )
    with pytest.raises(plugins.MissingRequirement) as caught:
        plugins.load('colibris.cache', 'far')
    assert str(caught.value).endswith(command)


def test_a_requirement_that_a_plug_in_reports_itself_is_missing_too(install):
    source = """
        try:
            import a_missing_driver
        except ImportError as exc:
            raise ImportError('get a driver') from exc
        """
    install('toy-cache', {'colibris.cache': {'far': 'toy_far:Far'}}, extras=['far'], toy_far=source)
    with pytest.raises(plugins.MissingRequirement, match=r"pip install 'toy-cache\[far\]'"):
        plugins.load('colibris.cache', 'far')


def test_a_missing_package_of_ours_is_named_by_its_distribution(install):
    install('toy', {'colibris.toys': {'car': 'toy_car:Car'}}, toy_car='import colibris.taskqueue.nowhere')
    with pytest.raises(plugins.MissingRequirement, match=r'pip install colibris-tasks'):
        plugins.load('colibris.toys', 'car')


@pytest.mark.parametrize('path', ['toys_far.far.Far', 'toys_far.Far', 'toys_far:Far', 'toys_far.far:Far'])
def test_a_path_to_a_plug_in_names_the_extra_of_its_alias(install, path):
    short_cut = 'def __getattr__(name):\n    from toys_far.far import Far\n    return Far'
    install(
        'toys',
        {'colibris.toys': {'far': 'toys_far.far:Far'}},
        extras=['far'],
        files={'toys_far/__init__.py': short_cut, 'toys_far/far.py': 'import a_missing_driver\nclass Far: pass'},
    )
    with pytest.raises(plugins.MissingRequirement) as caught:
        plugins.load('colibris.toys', path)
    assert str(caught.value) == f"{path!r} needs the module 'a_missing_driver': pip install 'toys[far]'"


def test_a_path_to_no_plug_in_finds_the_requirement_of_its_distribution(install):
    install('toys', {}, requires=["a-missing-driver ; extra == 'far'"], toy_far='import a_missing_driver')
    with pytest.raises(plugins.MissingRequirement, match=r"pip install 'toys\[far\]'"):
        plugins.load('colibris.toys', 'toy_far.Far')


@pytest.mark.parametrize(
    ('source', 'error'),
    [
        ('1 / 0', ZeroDivisionError),
        ('import sys; sys.exit(3)', SystemExit),
        ('def broken(:', SyntaxError),
        ('from os import nothing_of_that_name', ImportError),
        ('import toy_car.wheels', ModuleNotFoundError),
        ('class Bus: pass', AttributeError),
    ],
)
def test_a_broken_plug_in_bears_its_own_error(install, source, error):
    install('toys', {'colibris.toys': {'car': 'toy_car:Car'}}, toy_car=source)
    with pytest.raises(plugins.BrokenPlugin) as caught:
        plugins.load('colibris.toys', 'car')
    assert isinstance(caught.value.__cause__, error)
    assert "'car' (toys 1.0) does not load from toy_car:Car" in str(caught.value)
    assert error.__name__ in str(caught.value)


def test_an_entry_point_to_a_module_that_is_not_there_is_broken(install):
    install('toys', {'colibris.toys': {'car': 'toy_garage.car:Car'}})
    with pytest.raises(plugins.BrokenPlugin, match=r'toy_garage'):
        plugins.load('colibris.toys', 'car')


def test_a_path_to_a_broken_module_bears_its_error(install):
    install('toys', {}, toy_car='1 / 0')
    with pytest.raises(plugins.BrokenPlugin, match=r"'toy_car.Car' does not load: ZeroDivisionError") as caught:
        plugins.load('colibris.toys', 'toy_car.Car')
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ('path', 'told'),
    [
        ('toy_cra.Car', "there is no module 'toy_cra'"),
        ('toy_cra:Car', "there is no module 'toy_cra'"),
        ('toy_garage.cra.Car', "there is no module 'toy_garage.cra'"),
        ('toy_car.Bus', "module 'toy_car' has no 'Bus'"),
        ('toy_car.Cra', "did you mean 'Car'?"),
        ('toy_car:Car.Wheel', "has no 'Wheel'"),
        ('colibris.cache.redis.RedisBackend', 'pip install colibris-cache'),
        ('colibris.cache:RedisBackend', 'pip install colibris-cache'),
        ('toy_car.', 'neither an alias nor a path'),
        ('.toy_car', 'neither an alias nor a path'),
        ('toy_car:', 'neither an alias nor a path'),
        ('toy car.Car', 'neither an alias nor a path'),
        ('a:b:c', 'neither an alias nor a path'),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(install, monkeypatch, path, told):
    install('toys', {}, toy_car='class Car: pass', files={'toy_garage/__init__.py': ''})
    if path.startswith('colibris') and importlib.util.find_spec('colibris.cache') is not None:
        pytest.skip('colibris-cache is installed')
    with pytest.raises(plugins.UnknownPlugin) as caught:
        plugins.load('colibris.toys', path)
    assert told in str(caught.value)
