import pytest
import torch

from tmref.catalog import set_parameters


def test_parameters_are_set_in_place():
    module = torch.nn.Linear(2, 1)
    before = list(module.parameters())
    set_parameters(before, (torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])))
    assert module.weight is before[0]
    assert (module.weight.tolist(), module.bias.tolist()) == ([[1, 2]], [3])
    assert module.weight.requires_grad


@pytest.mark.parametrize(
    ("values", "theirs"),
    [
        ((), "[]"),
        ((torch.zeros(1, 2),), "[(1, 2)]"),
        ((torch.zeros(2, 1), torch.zeros(1)), "[(2, 1), (1,)]"),
        ((torch.zeros(1), torch.zeros(1, 2)), "[(1,), (1, 2)]"),
    ],
)
def test_parameters_of_other_shapes_are_refused_and_nothing_is_set(values, theirs, refused):
    module = torch.nn.Linear(2, 1)
    before = [p.clone() for p in module.parameters()]
    message = (
        "the module has parameters of the shapes [(1, 2), (1,)], but its twin in plain torch, key by "
        f"key, {theirs}"
    )
    with refused(ValueError, message):
        set_parameters(list(module.parameters()), values)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
