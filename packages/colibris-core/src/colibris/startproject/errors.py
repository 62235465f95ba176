"""What keeps a project from being made."""


class StartProjectError(Exception):
    """Raised when a project cannot be made; the message is one line that says why and what to do."""


class InvalidName(StartProjectError):
    """Raised when no package can bear the name that follows from the project's."""


class AlreadyExists(StartProjectError):
    """Raised when something is there already under the project's name."""


class InvalidTemplate(StartProjectError):
    """Raised when the template is of a kind that is not taken, or holds what must not be copied."""


class CloneFailed(StartProjectError):
    """Raised when git could not fetch the template."""
