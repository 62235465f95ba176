"""The errors of caches."""


class CacheError(Exception):
    """Raised when a cache cannot do what it was asked for."""


class CacheUnavailable(CacheError):
    """Raised when the server of a cache cannot be reached, and `on_error` is ``'raise'``."""


class NotANumber(CacheError, TypeError):
    """Raised when `incr` or `decr` meets a value that is no integer of 64 bits."""


class NotKept(Exception):
    """Raised by a factory of our own to end a computation whose result must not be kept; carries that result."""
