"""JSON Web Tokens, as all peers read them."""

import common
import jwt


class Unauthorized(Exception):
    """Raised when a request bears no good token."""


def account_id(header: str | None) -> int:
    """Return the account that the header ``Authorization`` names."""
    if not header or not header.startswith('Bearer '):
        raise Unauthorized
    try:
        return int(jwt.decode(header[7:], common.SECRET, algorithms=['HS256'])['sub'])
    except jwt.PyJWTError:
        raise Unauthorized from None
