"""The stamp on numbers of a checkpoint that was chosen on the images that measure it.

Names carry a mark; every table, figure and file that prints a marked name says what the mark means.
"""

MARK = "†"
TEST_SELECTED = "test-selected, optimistic"
EXPLANATION = f"{MARK} {TEST_SELECTED}: the weights were chosen on the test images that measure them."


def spelled_out(text: str) -> str:
    """Words in place of the mark, for text that may be read alone.

    >>> spelled_out("gen 2† · resnet14")
    'gen 2 (test-selected, optimistic) · resnet14'
    """
    return text.replace(MARK, f" ({TEST_SELECTED})")
