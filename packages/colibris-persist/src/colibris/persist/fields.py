"""The fields that models are made of: Tortoise's, under one roof."""

from tortoise.fields import *  # noqa: F403
from tortoise.fields import __all__ as __all__
