"""Serving an application: sockets, the life of one process, and several processes under a supervisor."""

from colibris.server.serving import serve
from colibris.server.sockets import bind, listening_urls

__all__ = ['bind', 'listening_urls', 'serve']
