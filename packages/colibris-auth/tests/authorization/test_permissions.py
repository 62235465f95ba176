"""The algebra of permissions."""

import enum

import pytest

from colibris.authorization import Permission
from colibris.authorization.permissions import compile_permissions


class Role(enum.StrEnum):
    ADMIN = 'admin'


class Level(enum.IntEnum):
    HIGH = 3


A, B, C = Permission('a'), Permission('b'), Permission('c')


@pytest.mark.parametrize(
    ('said', 'met_by', 'not_by'),
    [
        ('a', ['a', 'ab'], ['', 'b']),
        (('a', 'b'), ['ab'], ['a', 'b', '']),
        (['a', 'b'], ['ab'], ['a', 'b', '']),
        ({'a', 'b'}, ['ab'], ['a', 'b']),
        (A & B, ['ab'], ['a', 'b', '']),
        (A | B, ['a', 'b', 'ab'], ['', 'c']),
        (A & 'b' & 'c', ['abc'], ['ab', 'bc']),
        ('a' | B, ['a', 'b'], ['c']),
        ('a' & B, ['ab'], ['a']),
        (A | B & C, ['a', 'bc'], ['b', 'c']),
        ((A | B) & C, ['ac', 'bc'], ['ab', 'c']),
        ((A | B, C), ['ac', 'bc'], ['ab', 'c']),
        (A | ['b', 'c'], ['a', 'bc'], ['b']),
    ],
)
def test_what_is_said_is_what_is_needed(said, met_by, not_by):
    expression = compile_permissions(said)

    assert all(expression.holds(set(held)) for held in met_by)
    assert not any(expression.holds(set(held)) for held in not_by)


def test_all_names_are_known():
    assert compile_permissions((A | B, 'd')).names == {'a', 'b', 'd'}


def test_members_of_enumerations_are_names():
    assert compile_permissions(Role.ADMIN) == Permission('admin') == Permission(Role.ADMIN)
    assert compile_permissions(Level.HIGH) == Permission('HIGH')


def test_it_reads_as_it_is_meant():
    assert str(compile_permissions(('users:read', A | B))) == 'users:read and (a or b)'


@pytest.mark.parametrize('said', [None, (), [], '', 5, True, ('a', ''), ('a', None), len, {'a': 1}, b'a'])
def test_what_is_no_permission_is_refused(said):
    with pytest.raises(TypeError, match='permission'):
        compile_permissions(said)


@pytest.mark.parametrize('name', ['', None, 5, ['a']])
def test_a_permission_has_a_name(name):
    with pytest.raises(TypeError, match='must be a text'):
        Permission(name)
