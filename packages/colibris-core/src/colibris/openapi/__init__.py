"""The documentation of an API: an OpenAPI 3.1 document made from its endpoints, and a page that shows it."""

from colibris.openapi.page import setup

__all__ = ['setup']
