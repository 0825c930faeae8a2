"""Where and in which number format a network runs."""

import torch


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context for a network's forward pass; what follows it is float32 again.

    Args:
        precision: ``float32``, ``bfloat16``, or ``auto`` for bfloat16 where the processor has instructions for it.
        device: Where the network is.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_in_bfloat16(precision, device))


def _in_bfloat16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu.get_capabilities().get("avx512_bf16", False)
