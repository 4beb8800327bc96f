"""What others do when a module is called."""

from __future__ import annotations

import torch

#: The attributes of a torch module that keep its hooks, each as a dictionary.
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def has_hooks(module: torch.nn.Module) -> bool:
    """Whether hooks of its own run when it is called, or when a backward goes through it."""
    return any(getattr(module, hooks) for hooks in HOOKS)
