"""Where a template comes from: a folder of this machine, or a git repository."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from colibris.startproject.errors import InvalidTemplate

SCHEMES = ('https', 'ssh', 'file')
EXPECTED = 'expected a folder, or a git repository by https://, ssh://, file:// or user@host:path, with @tag after it'

CONTROL_CHARACTER = re.compile(r'[\x00-\x1f\x7f]')
TAG = re.compile(r'[A-Za-z0-9_][^\s~^:?*\[\]\\@]*')  # git-check-ref-format(1), and never an option
HOST = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+')  # an IPv6 address comes without its brackets
USER = re.compile(r'[A-Za-z0-9_][^\s/@]*')
SCP = re.compile(r'(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*:(?P<path>[^-:\s@][^:\s]*)')


@dataclass(frozen=True, slots=True)
class GitTemplate:
    """A git repository, at a tag or branch where one is given."""

    url: str
    tag: str | None = None


def locate(spec: str | None) -> Path | GitTemplate:
    """Tell what *spec* names: None is the skeleton that comes with Colibris.

    Raises `InvalidTemplate` for what is neither a folder nor an address that is taken.
    """
    if spec is None:
        return skeleton('service')
    if not spec or CONTROL_CHARACTER.search(spec):
        raise InvalidTemplate(f'the template {spec!r} is empty or holds a control character; {EXPECTED}')
    if '://' in spec:
        return _from_url(spec)
    return _from_folder(spec) or _from_scp(spec)


def skeleton(name: str) -> Path:
    """Return the folder of a skeleton of ours: inside the installed package, or in the checkout it is run from."""
    colibris = Path(__file__).parents[1]
    for templates in (colibris / '_templates', colibris.parents[3] / 'templates'):
        if (templates / name).is_dir():
            return templates / name
    raise InvalidTemplate(f'the skeleton {name!r} is missing in {colibris}: install colibris-core again')


def _from_folder(spec: str) -> Path | GitTemplate | None:
    folder = Path(spec).expanduser()
    if folder.is_dir():
        return GitTemplate(folder.resolve().as_uri()) if _is_bare_repository(folder) else folder.resolve()
    path, tag = _split_tag(spec)
    folder = Path(path).expanduser()
    if tag is None or not folder.is_dir():
        return None
    if not (folder / '.git').exists() and not _is_bare_repository(folder):
        raise InvalidTemplate(f'{path!r} is no git repository, so it has no tag {tag!r}; leave @{tag} out')
    return GitTemplate(folder.resolve().as_uri(), tag)


def _is_bare_repository(folder: Path) -> bool:
    return (folder / 'HEAD').is_file() and (folder / 'objects').is_dir() and (folder / 'refs').is_dir()


def _from_url(spec: str) -> GitTemplate:
    scheme, _, rest = spec.partition('://')
    if scheme.lower() not in SCHEMES:
        raise InvalidTemplate(f'templates are not fetched by {scheme}:// ({spec!r}); {EXPECTED}')
    authority, slash, path = rest.partition('/')
    if scheme.lower() == 'file' and Path(slash + path).exists():
        tag = None
    else:
        path, tag = _split_tag(path)
    url = f'{scheme.lower()}://{authority}{slash}{path}'
    _check_authority(_split_url(url), spec)
    return GitTemplate(url, tag)


def _split_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise InvalidTemplate(f'{url!r} is no valid address ({exc}); {EXPECTED}') from exc
    return parts


def _check_authority(parts: SplitResult, spec: str) -> None:
    if not parts.path.strip('/'):
        raise InvalidTemplate(f'the address {spec!r} has no path; {EXPECTED}')
    if parts.scheme == 'file':
        if parts.netloc not in ('', 'localhost'):
            raise InvalidTemplate(f'file:// has three slashes before a path of this machine, not {spec!r}')
        return
    if not HOST.fullmatch(parts.hostname or ''):
        raise InvalidTemplate(f'the address {spec!r} has no valid host; {EXPECTED}')
    if parts.username is not None and not USER.fullmatch(parts.username):
        raise InvalidTemplate(f'the address {spec!r} has no valid user; {EXPECTED}')


def _from_scp(spec: str) -> GitTemplate:
    url, tag = _split_tag(spec)
    if not SCP.fullmatch(url):
        raise InvalidTemplate(f'there is no template {spec!r}; {EXPECTED}')
    return GitTemplate(url, tag)


def _split_tag(path: str) -> tuple[str, str | None]:
    """Split `path@tag`; the `@` of `user@host:path` and of `/@group/repository` are no tag's."""
    before, at, tag = path.rpartition('@')
    if not at or not before or before.endswith('/') or ':' in tag:
        return path, None
    if not TAG.fullmatch(tag):
        raise InvalidTemplate(f'{tag!r} cannot be a tag (in the template {path!r}); {EXPECTED}')
    return before, tag
