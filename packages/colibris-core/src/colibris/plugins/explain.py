"""Say what is wrong with a plug-in, and what to do about it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, EntryPoint, packages_distributions
from importlib.metadata import distribution as find_distribution
from types import MappingProxyType, ModuleType

#: Where the groups of Colibris are at home, and the aliases that are offered there.
HOME: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        'colibris.persist': ('colibris-persist', ('sqlite', 'postgresql', 'mysql')),
        'colibris.authentication': ('colibris-auth', ('null', 'jwt', 'apikey')),
        'colibris.authorization': ('colibris-auth', ('null', 'role', 'rights')),
        'colibris.cache': ('colibris-cache', ('locmem', 'redis')),
        'colibris.template': ('colibris-templates', ('jinja2',)),
        'colibris.email': ('colibris-email', ('console', 'smtp', 'memory', 'file')),
        'colibris.taskqueue': ('colibris-tasks', ('embedded', 'dramatiq', 'rq', 'immediate')),
    }
)

#: Groups whose names are not chosen by a setting, so that no path can be written instead.
UNCHOSEN = ('colibris.subsystems', 'colibris.commands', 'colibris.command_options')

_REQUIREMENT = re.compile(r'\s*([A-Za-z0-9][A-Za-z0-9._-]*)')
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def distribution(entry_point: EntryPoint) -> str:
    """Return name and version of the distribution that *entry_point* belongs to."""
    dist = entry_point.dist
    return f'{dist.name} {dist.version}' if dist is not None else 'an unknown distribution'


def error(exc: BaseException) -> str:
    """Return an error as one line."""
    return ' '.join(f'{type(exc).__name__}: {exc}'.split())


def closest(name: str, names: Iterable[str]) -> str:
    """Return ``; did you mean …?`` if one of *names* is close to *name*, else nothing."""
    by_fold = {other.casefold(): other for other in names if other != name}
    close = difflib.get_close_matches(name.casefold(), by_fold, 1)
    return f'; did you mean {by_fold[close[0]]!r}?' if close else ''


def unknown_alias(group: str, alias: str, offers: Iterable[str]) -> str:
    """Say that *alias* is offered by nothing, what it may have meant, what there is and what can be installed."""
    have = list(offers)
    home, shipped = HOME.get(group, (None, ()))
    hint = '' if alias in shipped else closest(alias, {*have, *shipped})
    text = f'nothing installed offers {alias!r} in {group!r}{hint}'
    if have:
        text += f' (installed: {", ".join(have)})'
    elif home is None:
        text += ' (nothing is installed for this group); install a distribution that offers it'
    if home is not None and not set(shipped) <= set(have):
        text += f'; {", ".join(map(repr, shipped))} come with {home}: pip install {home}'
    return text


def offered(group: str, offers: Iterable[str]) -> str:
    """Say what can be written as the backend of a setting."""
    have = ', '.join(map(repr, offers))
    home = HOME.get(group, (None,))[0]
    if not have and home is not None:
        return f'give an alias or the dotted path of a class (nothing is installed yet: pip install {home})'
    return f'give an alias ({have or "none is installed"}) or the dotted path of a class'


def ambiguous(group: str, alias: str, offers: Iterable[EntryPoint]) -> str:
    """Say who offers the same *alias*, and how to choose."""
    owners = ' and '.join(f'{distribution(offer)} ({offer.value})' for offer in offers)
    if group in UNCHOSEN:
        return f'{alias!r} is offered in {group!r} by {owners}; uninstall all but one of them'
    paths = ' or '.join(repr(offer.value.partition('[')[0].strip()) for offer in offers)
    return f'{alias!r} is offered in {group!r} by {owners}; choose by path: {paths}'


def no_module(path: str, module: str, siblings: Iterable[str] = ()) -> str:
    """Say that a path leads to no module, and which distribution brings it if it is one of ours."""
    text = f'{path!r} leads nowhere: there is no module {module!r}'
    homes = {home for package, (home, _) in HOME.items() if f'{path.replace(":", ".")}.'.startswith(f'{package}.')}
    missing = [home for home in homes if find(home) is None]
    if missing:
        return f'{text}; it comes with {missing[0]}: pip install {missing[0]}'
    return text + (closest(module.rpartition('.')[2], siblings) or '; check its spelling')


def no_attribute(path: str, owner: object, name: str) -> str:
    """Say that what a path leads to is not there."""
    what = f'module {owner.__name__!r}' if isinstance(owner, ModuleType) else repr(owner)
    return f'{path!r} leads nowhere: {what} has no {name!r}{closest(name, dir(owner))}'


def installing(module: str, entry_point: EntryPoint | None, path: str = '') -> str:
    """Return the command that installs the missing *module* for a plug-in.

    By convention the extra that a backend needs bears the backend's alias; otherwise the distribution's own
    requirements are searched for the module.
    """
    package = module.partition('.')[0]
    if entry_point is not None and entry_point.dist is not None:
        alias = _normal(entry_point.name)
        for extra in entry_point.dist.metadata.get_all('Provides-Extra') or ():
            if _normal(extra) == alias:
                return f"pip install '{entry_point.dist.name}[{extra}]'"
        owners = [entry_point.dist]
    else:
        owners = _owners(path)
    for owner in owners:
        if (command := _required_by(owner, package)) is not None:
            return command
    home = next((home for group, (home, _) in HOME.items() if f'{module}.'.startswith(f'{group}.')), None)
    return f'pip install {home}' if home is not None else f'install the distribution that brings {package!r}'


def find(name: str) -> Distribution | None:
    """Return the installed distribution called *name*, if there is one."""
    try:
        return find_distribution(name)
    except ModuleNotFoundError:
        return None


def _owners(path: str) -> list[Distribution]:
    """Return the distributions that may hold what *path* leads to."""
    names = packages_distributions().get(path.partition('.')[0].partition(':')[0], [])
    return [dist for name in dict.fromkeys(names) if (dist := find(name)) is not None]


def _required_by(dist: Distribution, package: str) -> str | None:
    """Return how to install *package* if *dist* names it as a requirement, by an extra or as it is."""
    for requirement in dist.requires or ():
        match = _REQUIREMENT.match(requirement)
        if match is None or _normal(match[1]) != _normal(package):
            continue
        extra = _EXTRA.search(requirement)
        return f"pip install '{dist.name}[{extra[1]}]'" if extra else f"pip install '{match[1]}'"
    return None


def _normal(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()
