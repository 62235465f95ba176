"""Compiled schemas: what a schema does, made into code once; results are those of marshmallow, errors too."""

from colibris.schemas.compiled.conversions import DOUBT, declare, declare_validator
from colibris.schemas.compiled.dumping import Dumper, dumper
from colibris.schemas.compiled.loading import Loader, loader
from colibris.schemas.compiled.presenting import isoformat

__all__ = ['DOUBT', 'Dumper', 'Loader', 'declare', 'declare_validator', 'dumper', 'isoformat', 'loader']
