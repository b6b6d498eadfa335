"""How the strength of an attack is written."""


def strength_text(eps: float) -> str:
    """The strength of an attack as it is usually written.

    >>> strength_text(0.0), strength_text(0.03), strength_text(8 / 255)
    ('0', '0.03', '8/255')
    """
    steps = eps * 255
    whole = steps >= 1 and abs(steps - round(steps)) < 1e-4
    return f"{round(steps)}/255" if whole else f"{eps:.4g}"
