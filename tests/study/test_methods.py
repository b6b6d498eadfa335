"""What a method asks of a training is checked before the work."""

import pytest

from nsbench.config.method import NoisyStudentConfig
from nsbench.config.schema import OptimisationConfig
from nsbench.errors import UserError
from nsbench.study.methods.noisy_student import NoisyStudent


class Asking(NoisyStudent):
    """A method whose loss asks the average of the weights."""

    asks_average = True


def test_a_method_that_asks_the_average_needs_one() -> None:
    method = Asking(NoisyStudentConfig())
    method.check(OptimisationConfig(average_decay=0.99))
    with pytest.raises(UserError, match=r"set training\.average_decay above 0"):
        method.check(OptimisationConfig())
    NoisyStudent(NoisyStudentConfig()).check(OptimisationConfig())
