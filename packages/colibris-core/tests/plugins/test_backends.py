"""Backends made from settings: the class is checked, the options too."""

import abc
from typing import ClassVar

import pytest

from colibris import plugins
from colibris.conf import ImproperlyConfigured


class Base:
    api_version: ClassVar[int] = 2


class Car(Base):
    def __init__(self, *, wheels=4, colour='red'):
        self.wheels, self.colour = wheels, colour


class Lorry(Base):
    def __init__(self, *, load, axles, colour='grey'):
        self.load, self.axles = load, axles


class Anything(Base):
    def __init__(self, **options):
        self.options = options


class Strict(Base):
    def __init__(self, *, wheels):
        raise self.error


class Bare(Base):
    pass


class Old(Base):
    api_version = 1


class Unfinished(Base, abc.ABC):
    @abc.abstractmethod
    def drive(self): ...


def build(options, **keywords):
    return plugins.build('VEHICLE', options, 'colibris.toys', Base, **keywords)


def test_the_other_keys_are_arguments_of_the_constructor():
    car = build({'backend': Car, 'wheels': 3})
    assert (type(car), car.wheels, car.colour) == (Car, 3, 'red')


@pytest.mark.parametrize('spec', ['car', 'toy_car.Car', 'toy_car:Car'])
def test_a_backend_is_named_by_alias_or_path(install, spec):
    install('toys', {'colibris.toys': {'car': 'toy_car:Car'}}, toy_car='class Car: pass')
    car = plugins.build('VEHICLE', {'backend': spec}, 'colibris.toys', object)
    assert type(car).__module__ == 'toy_car'


def test_the_options_are_left_as_they_are():
    options = {'backend': Car, 'wheels': 3}
    build(options)
    assert options == {'backend': Car, 'wheels': 3}


def test_an_unknown_option_names_setting_key_and_the_keys_there_are():
    with pytest.raises(plugins.InvalidOption) as caught:
        build({'backend': Car, 'weels': 3}, source='settings.py')
    assert str(caught.value).startswith("VEHICLE['weels'] (settings.py): ")
    assert "takes no option 'weels'; did you mean 'wheels'? (it takes: wheels, colour)" in str(caught.value)
    assert caught.value.setting == "VEHICLE['weels'] (settings.py)"


def test_the_source_can_depend_on_the_key():
    sources = {'VEHICLE': 'settings.py', 'VEHICLE.weels': 'environment'}
    with pytest.raises(plugins.InvalidOption, match=r"VEHICLE\['weels'\] \(environment\)"):
        build({'backend': Car, 'weels': 3}, source=sources.get)


def test_an_option_of_a_backend_without_options_is_unknown():
    with pytest.raises(plugins.InvalidOption, match=r'it takes none'):
        build({'backend': Bare, 'wheels': 3})


def test_an_option_that_is_no_text_is_unknown():
    with pytest.raises(plugins.InvalidOption, match=r'VEHICLE\[3\]'):
        build({'backend': Anything, 3: 3})


def test_a_constructor_with_keywords_takes_any_option():
    assert build({'backend': Anything, 'whatever': 1}).options == {'whatever': 1}


def test_lacking_options_are_named():
    with pytest.raises(plugins.InvalidOption, match=r"VEHICLE \(.env\): .*Lorry requires 'load', 'axles'"):
        build({'backend': Lorry}, source='.env')


def test_options_that_the_constructor_refuses_bear_its_error(monkeypatch):
    monkeypatch.setattr(Strict, 'error', ValueError('at least one wheel'), raising=False)
    with pytest.raises(
        plugins.InvalidOption, match=r'VEHICLE: .*Strict refuses its options: at least one wheel'
    ) as info:
        build({'backend': Strict, 'wheels': 0})
    assert isinstance(info.value.__cause__, ValueError)


def test_a_constructor_that_fails_is_broken(monkeypatch):
    monkeypatch.setattr(Strict, 'error', RuntimeError('no fuel'), raising=False)
    with pytest.raises(plugins.BrokenPlugin, match=r'cannot be built: RuntimeError: no fuel') as caught:
        build({'backend': Strict, 'wheels': 0})
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_driver_that_the_constructor_misses_is_a_missing_requirement(monkeypatch):
    error = ModuleNotFoundError("No module named 'a_missing_driver'", name='a_missing_driver')
    monkeypatch.setattr(Strict, 'error', error, raising=False)
    with pytest.raises(plugins.MissingRequirement, match=r"VEHICLE: .*needs the module 'a_missing_driver'"):
        build({'backend': Strict, 'wheels': 0})


def test_a_wrong_configuration_that_the_constructor_finds_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(Strict, 'error', ImproperlyConfigured('SECRET_KEY is not set'), raising=False)
    with pytest.raises(ImproperlyConfigured, match=r'^SECRET_KEY is not set$'):
        build({'backend': Strict, 'wheels': 0})


def test_options_without_a_backend_say_what_can_be_given(install):
    install('toys', {'colibris.toys': {'car': 'toy_car:Car', 'bus': 'toy_bus:Bus'}})
    with pytest.raises(plugins.InvalidOption) as caught:
        build({'wheels': 3}, source='settings.py')
    assert str(caught.value).startswith("VEHICLE (settings.py): has no key 'backend'")
    assert "('bus', 'car')" in str(caught.value)


@pytest.mark.parametrize('spec', [None, 3, Car(), ['car']])
def test_a_backend_of_a_wrong_type_is_refused(spec):
    with pytest.raises(plugins.InvalidOption, match=rf"VEHICLE\['backend'\]: expected .*not {type(spec).__name__}"):
        build({'backend': spec})


def test_options_that_are_no_dictionary_are_refused():
    with pytest.raises(plugins.InvalidOption, match=r'VEHICLE: expected a dictionary, not str'):
        build('car')


@pytest.mark.parametrize('spec', [str, 'collections.OrderedDict'])
def test_a_class_that_is_no_backend_is_refused(spec):
    with pytest.raises(plugins.IncompatiblePlugin, match=r"VEHICLE\['backend'\]: .* not a subclass of .*Base"):
        build({'backend': spec})


def test_a_target_that_is_no_class_is_refused():
    with pytest.raises(plugins.IncompatiblePlugin, match=r'no class but function'):
        build({'backend': 'os.path.join'})


def test_a_backend_for_another_version_is_refused():
    with pytest.raises(plugins.IncompatiblePlugin, match=r'built for version 1 of .*Base, but version 2 is installed'):
        build({'backend': Old})


def test_an_abstract_backend_says_what_it_lacks():
    with pytest.raises(plugins.IncompatiblePlugin, match=r'abstract: it does not define drive'):
        build({'backend': Unfinished})


def test_a_fault_of_the_plug_in_names_the_setting_and_its_source():
    with pytest.raises(
        plugins.UnknownPlugin, match=r"^VEHICLE\['backend'\] \(\.env\): nothing installed offers 'boat'"
    ):
        build({'backend': 'boat'}, source='.env')


def test_load_backend_returns_the_class():
    assert plugins.load_backend('colibris.toys', Car, Base, setting='VEHICLE') is Car
    with pytest.raises(plugins.PluginError, match=r"^VEHICLE\['backend'\]: "):
        plugins.load_backend('colibris.toys', 'boat', Base, setting='VEHICLE')
