"""Gradients of matrices -> updates by Muon, all matrices of one shape in one product.

One matrix at a time, torch.optim.Muon launches some 25 small kernels for each, which on a GPU takes longer than the
student's way forward and back.
"""

import math
from collections.abc import Callable
from typing import Any

import torch


class StackedMuon(torch.optim.Muon):
    """torch.optim.Muon with `adjust_lr_fn="match_rms_adamw"`, Nesterov momentum and no decay, in stacks of a shape."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient; `closure` is not called."""
        for group in self.param_groups:
            stacks: dict[torch.Size, list[torch.Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    stacks.setdefault(weight.shape, []).append(weight)
            for shape, weights in stacks.items():
                grads: list[torch.Tensor] = [weight.grad for weight in weights if weight.grad is not None]
                for weight in weights:
                    if not self.state[weight]:
                        self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
                buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
                torch._foreach_lerp_(buffers, grads, 1 - group["momentum"])
                steps = orthogonalise(torch.stack(grads).lerp(torch.stack(buffers), group["momentum"]), group)
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))
                torch._foreach_add_(weights, list(steps.to(weights[0].dtype).unbind()), alpha=-rate)


def orthogonalise(stack: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
    """(matrices, rows, columns) -> the nearest matrices with equal singular values, by Newton-Schulz in bfloat16."""
    a, b, c = group["ns_coefficients"]
    tall = stack.shape[1] > stack.shape[2]
    turned = (stack.mT if tall else stack).bfloat16()
    turned = turned / turned.norm(dim=(1, 2), keepdim=True).clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = turned @ turned.mT
        turned = torch.baddbmm(turned, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), turned, beta=a)
    return turned.mT if tall else turned
