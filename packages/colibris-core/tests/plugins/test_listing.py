"""The list of what is installed, with the state of each."""

from colibris import plugins

SUBSYSTEM = """
    class Base:
        api_version = 2

    class Subsystem:
        group = 'strangers.toys'
        base = Base

    class Car(Base):
        pass

    class Old(Base):
        api_version = 1

    subsystem = Subsystem()
    """


def rows(group):
    return {row.alias: row for row in plugins.listing() if row.group == group}


def test_every_state_is_told(install):
    install(
        'toys',
        {'colibris.toys': {'car': 'toy_car:Car', 'far': 'toy_far:Far', 'bad': 'toy_bad:Bad', 'twin': 'toy_car:Car'}},
        extras=['far'],
        toy_car='class Car: pass',
        toy_far='import a_missing_driver',
        toy_bad='1 / 0',
    )
    install('twins', {'colibris.toys': {'twin': 'toy_bad:Twin'}}, version='3.0')
    found = rows('colibris.toys')
    assert {alias: row.state for alias, row in found.items()} == {
        'bad': 'broken',
        'car': 'ok',
        'far': 'missing requirement',
        'twin': 'ambiguous',
    }
    assert found['car'] == plugins.Row('colibris.toys', 'car', 'toys 1.0', 'toy_car:Car', 'ok')
    assert "pip install 'toys[far]'" in found['far'].detail
    assert 'ZeroDivisionError' in found['bad'].detail
    assert 'twins 3.0' in found['twin'].detail


def test_an_ambiguous_alias_has_a_row_for_each_offer(install):
    install('one', {'colibris.toys': {'twin': 'one:Twin'}})
    install('two', {'colibris.toys': {'twin': 'two:Twin'}})
    twins = [row for row in plugins.listing() if row.alias == 'twin']
    assert sorted(row.distribution for row in twins) == ['one 1.0', 'two 1.0']


def test_the_groups_of_strangers_subsystems_are_listed_and_their_classes_checked(install):
    install(
        'toys',
        {
            'colibris.subsystems': {'VEHICLE': 'toys:subsystem'},
            'strangers.toys': {'car': 'toys:Car', 'old': 'toys:Old', 'dict': 'builtins:dict'},
        },
        toys=SUBSYSTEM,
    )
    found = rows('strangers.toys')
    assert {alias: row.state for alias, row in found.items()} == {'car': 'ok', 'old': 'broken', 'dict': 'broken'}
    assert 'version 1' in found['old'].detail
    assert rows('colibris.subsystems')['VEHICLE'].state == 'ok'


def test_our_own_commands_and_subsystems_are_listed():
    groups = {row.group for row in plugins.listing()}
    assert {'colibris.commands'} <= groups


def test_a_command_that_is_none_is_broken(install):
    install('toys', {'colibris.commands': {'play': 'toys:play'}}, toys='play = 3')
    assert rows('colibris.commands')['play'].state == 'broken'


def test_several_distributions_may_add_options_to_one_command(install):
    install('one', {'colibris.command_options': {'shell': 'one:option'}}, one='def option(command): ...')
    install('two', {'colibris.command_options': {'shell': 'two:option'}}, two='def option(command): ...')
    assert [row.state for row in plugins.listing() if row.alias == 'shell' and row.target.endswith(':option')] == [
        'ok',
        'ok',
    ]
