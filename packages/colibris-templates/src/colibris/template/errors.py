"""The errors of templates."""


class TemplateError(Exception):
    """Raised when a template cannot be rendered; *file* and *line* tell where, as far as that is known."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        self.file = file
        self.line = line
        place = f'{file or "<string>"}, line {line}: ' if line is not None else ''
        super().__init__(place + message)


class TemplateNotFound(TemplateError, LookupError):
    """Raised when there is no template of a *name* in any of the places that are searched."""

    def __init__(self, message: str, *, name: str = '', file: str | None = None, line: int | None = None) -> None:
        self.name = name
        super().__init__(message, file=file, line=line)
