"""The methods that come with nsbench: importing this registers them."""

from nsbench.study.methods.distillation import Distillation
from nsbench.study.methods.noisy_student import NoisyStudent
from nsbench.study.methods.supervised import Supervised

METHODS = (Supervised, NoisyStudent, Distillation)
