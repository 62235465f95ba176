"""A span for each request, if TRACING says so."""

from __future__ import annotations

from colibris.conf import settings
from colibris.edge.layer import Handle


def layer(handle: Handle) -> Handle:
    """Trace requests."""
    if not settings.TRACING:
        return handle
    from colibris.tracing import options, requests  # which not everybody needs

    options.options()  # what is wrong is told before anything starts
    return requests.traced(handle)
