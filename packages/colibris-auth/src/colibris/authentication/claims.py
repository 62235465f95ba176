"""The account of a request whose token says everything: its claims."""

from __future__ import annotations

from typing import Any


class Claims(dict[str, Any]):
    """The claims of a verified token: ``account['sub']``, and where the name allows it ``account.sub``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f'the token has no claim {name!r}') from None

    def __repr__(self) -> str:
        return f'<Claims {self.get("sub")!r}>'
