"""What each request passes before it is routed, and each answer before it is sent; every part is one setting.

A part that is switched off is not on the way. The others stand around the application in the order of `LAYERS`, the
first of them outermost, so that they see what is not found as well, and what the middlewares answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from colibris.edge import attending, compression, cors, hosts, proxies, traces, websockets
from colibris.edge.layer import Handle, Layer

__all__ = ['surround']

LAYERS: Sequence[Layer] = (
    attending.layer,
    proxies.layer,
    traces.layer,
    hosts.layer,
    websockets.layer,
    cors.layer,
    compression.layer,
)


def surround(handle: Handle) -> Handle:
    """Return *handle*, which answers the requests of an application, within what the settings switch on.

    Raises ImproperlyConfigured.
    """
    for layer in reversed(LAYERS):
        handle = layer(handle)
    return handle
