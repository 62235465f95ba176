"""Find out whose request it is, as the setting ``AUTHENTICATION`` says."""

from colibris.authentication.base import AuthenticationBackend, Identity, InvalidCredentials
from colibris.authentication.decorators import require_authentication

__all__ = ['AuthenticationBackend', 'Identity', 'InvalidCredentials', 'require_authentication']
