"""What other installed packages add to nsbench, found through the entry point group `nsbench`."""

from functools import cache

from nsbench.errors import UserError

GROUP = "nsbench"


@cache
def load_plugins() -> None:
    """Import each module that an installed package names in the group; it registers what it adds.

    Raises:
        UserError: one of them fails.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  # a fifth of the time that --help takes

    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except UserError:
            raise
        except Exception as error:  # the code of a stranger may fail in any way
            package = entry.dist.name if entry.dist else entry.value
            raise UserError(
                f"The plug-in {entry.name!r} of the package {package} fails ({type(error).__name__}: {error}): "
                "fix it, or uninstall that package."
            ) from error
