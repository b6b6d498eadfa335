"""The one exception a user may see."""


class UserError(Exception):
    """A mistake that the user can fix: one sentence that names the thing and the remedy.

    The command line prints it without a traceback and exits with status 2. Anything else that
    escapes is a bug in nsbench.
    """
