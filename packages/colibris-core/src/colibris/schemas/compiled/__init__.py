"""Compiled schemas: what a schema does, made into code once; results are those of marshmallow, errors too."""

from colibris.schemas.compiled.conversions import DOUBT, declare
from colibris.schemas.compiled.dumping import Dumper, dumper
from colibris.schemas.compiled.loading import Loader, loader

__all__ = ['DOUBT', 'Dumper', 'Loader', 'declare', 'dumper', 'loader']
