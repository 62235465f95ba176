"""Pin every distribution of Colibris to the version of this one: the only place where `==` is used between them."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# What `pip install colibris` brings: all that a project made by the starter needs.
DEPENDENCIES = [
    'colibris-core',
    'colibris-persist',
    'colibris-auth',
    'colibris-cache',
    'colibris-templates',
    'colibris-email',
    'colibris-tasks',
]

# What `pip install colibris[EXTRA]` adds. A new package adds its line here; `all` follows by itself.
EXTRAS = {
    'persist': ['colibris-persist'],
    'auth': ['colibris-auth'],
    'cache': ['colibris-cache'],
    'templates': ['colibris-templates'],
    'email': ['colibris-email'],
    'tasks': ['colibris-tasks'],
    'postgresql': ['colibris-persist[postgresql]'],
    'mysql': ['colibris-persist[mysql]'],
    'redis': ['colibris-cache[redis]', 'colibris-tasks[redis]'],
    'rabbitmq': ['colibris-tasks[rabbitmq]'],
    'rq': ['colibris-tasks[rq]'],
    'metrics': ['colibris-core[metrics]'],
    'tracing': ['colibris-core[tracing]'],
    'speed': ['colibris-core[speed]'],
    'test': ['colibris-core[test]'],
}


class PinnedDependencies(MetadataHookInterface):
    """Fill the dynamic fields `dependencies` and `optional-dependencies`."""

    def update(self, metadata: dict[str, Any]) -> None:
        pin = f'=={metadata["version"]}'
        metadata['dependencies'] = [name + pin for name in DEPENDENCIES]
        extras = {extra: [name + pin for name in names] for extra, names in EXTRAS.items()}
        extras['all'] = sorted({requirement for requirements in extras.values() for requirement in requirements})
        metadata['optional-dependencies'] = extras
