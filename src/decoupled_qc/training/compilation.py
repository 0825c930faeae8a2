"""A network's forward pass compiled by PyTorch."""

import torch
from torch import nn


def compile_in_place(network: nn.Module) -> None:
    """Let PyTorch compile a network's calls; what it cannot compile, for want of a compiler say, runs as it is with a warning.

    Args:
        network: Keeps its weights, their names and its attributes; its results change in the last bits.
    """
    torch._dynamo.config.suppress_errors = True  # the documented way to fall back: torch.compiler, troubleshooting
    network.compile()
