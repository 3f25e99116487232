"""The fused loss is that of the whole logits."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.gpu]


def test_loss_and_gradient_are_equal_within_rounding() -> None:
    import torch
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    torch.manual_seed(1)
    hidden = torch.randn(300, 256, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    head = torch.randn(10_000, 256, device="cuda", dtype=torch.bfloat16) * 0.05
    labels = torch.randint(0, 10_000, (300,), device="cuda")
    labels[:100] = -100
    whole = torch.nn.functional.cross_entropy((hidden @ head.T).float(), labels)
    (expected,) = torch.autograd.grad(whole, hidden)
    fused = LigerFusedLinearCrossEntropyLoss()(head, hidden, labels)
    (found,) = torch.autograd.grad(fused, hidden)
    assert fused.item() == pytest.approx(whole.item(), rel=1e-3)
    assert (found - expected).norm() < 0.02 * expected.norm()
