"""Metrics for Prometheus: of requests, and of each subsystem; the setting ``METRICS`` switches them on.

They are served at a path of the service, or at a port of their own. Where several processes serve, each of them answers
for all.
"""

from colibris.metrics.setup import FOLDER, check_port, observer, options, prepare, running

__all__ = ['FOLDER', 'check_port', 'observer', 'options', 'prepare', 'running']
