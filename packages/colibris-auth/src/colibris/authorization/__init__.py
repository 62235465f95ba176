"""Say what an account may do, as the setting ``AUTHORIZATION`` says.

from colibris.authorization import Permission, require_permission

class UsersView(ListCreateModelView):
    permissions = Permission('users:read') | 'admin'
"""

from colibris.authorization.asking import has_permission
from colibris.authorization.base import AuthorizationBackend
from colibris.authorization.decorators import require_permission
from colibris.authorization.permissions import AllOf, AnyOf, Expression, Permission

__all__ = [
    'AllOf',
    'AnyOf',
    'AuthorizationBackend',
    'Expression',
    'Permission',
    'has_permission',
    'require_permission',
]
