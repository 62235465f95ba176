"""The middlewares that MIDDLEWARE lists by default, in the order of a request's way."""

from colibris.middleware.auth import handle_auth
from colibris.middleware.errors import handle_errors_json
from colibris.middleware.validation import handle_schema_validation

__all__ = ['handle_auth', 'handle_errors_json', 'handle_schema_validation']
