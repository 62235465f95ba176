"""The middlewares that MIDDLEWARE lists by default, in the order of a request's way; and how others are made quick."""

from colibris.middleware.auth import handle_auth
from colibris.middleware.errors import handle_errors_json
from colibris.middleware.special import specialises
from colibris.middleware.validation import handle_schema_validation

__all__ = ['handle_auth', 'handle_errors_json', 'handle_schema_validation', 'specialises']
