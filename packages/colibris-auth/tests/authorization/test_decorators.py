"""The decorators: what they say, and of what."""

import functools

import pytest

from colibris.authentication import require_authentication
from colibris.authorization import Permission, require_permission
from colibris.endpoints import Endpoint
from colibris.views import APIView


def needs(decorated):
    return str(decorated.permissions)


def test_a_handler_a_method_and_a_class_can_be_decorated():
    @require_permission('a')
    async def handler(request): ...

    @require_permission('b')
    class ItemsView(APIView):
        async def get(self): ...

        @require_permission(Permission('c') | 'd')
        async def post(self): ...

    assert (needs(handler), needs(ItemsView), needs(ItemsView.post)) == ('a', 'b', 'c or d')
    endpoint = ItemsView.compile('GET', '/').endpoint
    assert isinstance(endpoint, Endpoint)
    assert endpoint.protected
    assert str(endpoint.permissions) == 'b'
    assert str(ItemsView.compile('POST', '/').endpoint.permissions) == 'c or d'


def test_several_are_all_needed():
    @require_permission('a', 'b')
    @require_permission('c')
    async def handler(request): ...

    assert handler.permissions.names == {'a', 'b', 'c'}
    assert not handler.permissions.holds({'a', 'b'})
    assert handler.permissions.holds({'a', 'b', 'c'})


def test_a_decorated_class_keeps_what_it_inherits():
    class ItemsView(APIView):
        permissions = 'a'

    @require_permission('b')
    class OwnItemsView(ItemsView): ...

    assert needs(OwnItemsView) == 'a and b'
    assert ItemsView.permissions == 'a'


def test_a_method_that_is_decorated_for_one_view_stays_as_it_is_for_others():
    class Mixin:
        async def post(self):
            return 'posted'

    class First(APIView, Mixin):
        post = require_authentication(require_permission('a')(Mixin.post))

    class Second(APIView, Mixin):
        post = require_permission('b')(Mixin.post)

    assert (needs(First.post), needs(Second.post)) == ('a', 'b')
    assert First.post.authentication_required
    assert not hasattr(Mixin.post, 'permissions')
    assert not hasattr(Second.post, 'authentication_required')


async def test_a_decorated_method_is_still_the_method():
    class Base(APIView):
        async def get(self, *, name='x'):
            return name

    class Derived(Base):
        @require_authentication
        @require_permission('a')
        async def get(self, *, name='y'):
            """Get it."""
            return await super().get(name=name)

    assert await Derived.get(Derived.__new__(Derived)) == 'y'
    assert Derived.get.__doc__ == 'Get it.'


def test_what_wraps_a_decorated_handler_keeps_what_it_says():
    @require_permission('a')
    async def handler(request): ...

    @functools.wraps(handler)
    async def wrapping(request): ...

    assert needs(wrapping) == 'a'


@pytest.mark.parametrize('arguments', [(), ('',), (None,), ([],), (lambda request: None,)])
def test_no_permission_is_none(arguments):
    with pytest.raises(TypeError, match='permissions must be'):
        require_permission(*arguments)


class Handlers:
    async def handle(self, request): ...


@pytest.mark.parametrize('target', [staticmethod(len), classmethod(len), Handlers().handle, 'name', None])
@pytest.mark.parametrize('decorate', [require_authentication, require_permission('a')])
def test_what_would_not_bear_it_is_refused(decorate, target):
    with pytest.raises(TypeError, match=r'decorat'):
        decorate(target)
