"""The forms of names, each declared once: what a user may choose is what a file may say.

A name from a file becomes part of a path, of a key or of a sentence. In none of these forms does a part begin with a
dot or a slash, is there a control character, or room for a path that no file system takes.
"""

import re

from nsbench.errors import UserError, shortened

_PART = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}"
_GIVEN = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"
_NETWORK = r"[a-z][a-z0-9]{0,19}(-[a-z][0-9]{1,3}(\.[0-9]{1,3})?)?"

CHOSEN = r"^[a-z0-9][a-z0-9_-]{0,39}$"
"""Names of runs, evaluations, studies and methods."""
NAME = rf"^{_PART}$"
"""Names of benchmarks, their members, attacks, metrics, and models that users name."""
OPTIONAL = rf"^({_PART})?$"
"""The same or nothing, of a field that does not always apply."""
MODEL = rf"^{_GIVEN}(/{_GIVEN}){{0,4}}$"
"""What a record calls a model: a name that nsbench may have lengthened by another or a number, or
STUDY/seedK/genI-NETWORK, after the name of a folder where two share it."""
NETWORK = rf"^{_NETWORK}$"
"""Names of networks, such as `resnet8-w0.5`; which of them there are, `nsbench.networks.names` says."""
FOLDER = r"^[a-z0-9][a-z0-9._-]{0,119}$"
"""Names of the folders of networks: network, method and the digits of a hash."""
SAMPLE = r"^samples/[a-z]{1,20}(-[A-Za-z0-9][A-Za-z0-9._+-]{0,79})?\.png$"
"""Files of example images, relative to the folder of the record."""


def check_name(name: str, what: str, form: str = NAME) -> None:
    """Raise UserError where a name that is registered has not the form that files may have it in.

    Args:
        name: the name.
        what: begins the sentence, such as "The metric".
        form: one of the forms.
    """
    if not re.fullmatch(form, name):
        raise UserError(f"{what} {shortened(name)!r} cannot be called so: its name must have the form {form}.")
