"""Authorization by role."""

import enum
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import make_mocked_request

from colibris import plugins
from colibris.authorization.base import AuthorizationBackend
from colibris.authorization.role import RoleBackend
from colibris.authorization.testing import AuthorizationBackendSuite

ORDER = ('viewer', 'editor', 'admin')
REQUEST = make_mocked_request('GET', '/')


def account(role):
    return SimpleNamespace(role=role)


class TestContract(AuthorizationBackendSuite):
    granted = 'editor'
    refused = 'admin'
    impossible = 'root'

    @pytest.fixture
    async def backend(self):
        return RoleBackend(role_field='role', order=ORDER)

    @pytest.fixture
    async def account(self, backend):
        return account('editor')

    @pytest.fixture
    async def stranger(self, backend):
        return account('viewer')


class TestContractWithoutOrder(TestContract):
    impossible = None

    @pytest.fixture
    async def backend(self):
        return RoleBackend(role_field='role')


@pytest.mark.parametrize('spec', ['role', 'colibris.authorization.role.RoleBackend'])
def test_it_is_found_by_alias_and_by_its_path(spec):
    options = {'backend': spec, 'role_field': 'role', 'order': list(ORDER)}

    built = plugins.build('AUTHORIZATION', options, 'colibris.authorization', AuthorizationBackend)

    assert isinstance(built, RoleBackend)


@pytest.mark.parametrize(
    ('role', 'held'),
    [
        ('viewer', {'viewer'}),
        ('editor', {'viewer', 'editor'}),
        ('admin', {'viewer', 'editor', 'admin'}),
        ('adm', set()),
        ('administrator', set()),
        ('Admin', set()),
        ('admin ', set()),
        ('', set()),
        (None, set()),
        (0, set()),
        (['viewer', 'editor'], {'viewer', 'editor'}),
        ([], set()),
        ([None, 7, {'a': 1}], set()),
        ({'admin': True}, set()),
    ],
)
async def test_a_higher_role_has_the_permissions_of_the_lower_ones(role, held):
    backend = RoleBackend(role_field='role', order=ORDER)

    assert await backend.permitted(account(role), frozenset(ORDER), REQUEST) == held
    assert await backend.permitted({'role': role}, frozenset(ORDER), REQUEST) == held


async def test_without_an_order_each_role_stands_for_itself():
    backend = RoleBackend(role_field='role')

    assert await backend.permitted(account('admin'), frozenset(ORDER), REQUEST) == {'admin'}


@pytest.mark.parametrize('claims', [{}, {'sub': 'x'}, {'roles': ['admin']}])
async def test_claims_without_a_role_permit_nothing(claims):
    assert not await RoleBackend(role_field='role').permits(claims, 'admin', REQUEST)


@pytest.mark.parametrize('field', ['keys', 'items', 'get', '__class__'])
async def test_a_method_of_claims_is_no_role(field):
    assert not await RoleBackend(role_field=field).permits({'sub': 'x'}, 'admin', REQUEST)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'role_field': ''}, 'role_field must be'),
        ({'role_field': 'role', 'order': 'admin'}, 'order must be a list'),
        ({'role_field': 'role', 'order': ['a', '']}, 'order must list'),
        ({'role_field': 'role', 'order': ['a', 5]}, 'order must list'),
        ({'role_field': 'role', 'order': ['a', 'b', 'a']}, "'a' twice"),
        ({}, "requires 'role_field'"),
        ({'role_field': 'role', 'ordre': []}, "'ordre'; did you mean 'order'"),
    ],
)
def test_a_wrong_option_is_named(options, said):
    with pytest.raises(plugins.InvalidOption, match=said) as error:
        plugins.build('AUTHORIZATION', {'backend': 'role', **options}, 'colibris.authorization', AuthorizationBackend)
    assert 'AUTHORIZATION' in str(error.value)


class Role(enum.StrEnum):
    VIEWER = 'viewer'
    ADMIN = 'admin'


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


async def test_roles_may_be_members_of_an_enumeration():
    backend = RoleBackend(role_field='role', order=Role)
    assert await backend.permits(account(Role.ADMIN), 'viewer', REQUEST)
    assert not await backend.permits(account(Role.VIEWER), 'admin', REQUEST)

    levels = RoleBackend(role_field='role', order=[Level.LOW, Level.HIGH])
    assert await levels.permits(account(Level.HIGH), 'LOW', REQUEST)
    assert not await levels.permits(account(Level.LOW), 'HIGH', REQUEST)
