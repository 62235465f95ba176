"""Logs: what each line tells besides its message, and how lines are written."""

from colibris.logs.context import current_request_id, set_request_id
from colibris.logs.formatters import JSONFormatter, TextFormatter

__all__ = ['JSONFormatter', 'TextFormatter', 'current_request_id', 'set_request_id']
