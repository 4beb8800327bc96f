# A module that keeps labels, blocks and maps, moves them, and saves them.
import metatensor.torch as mts
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatensor.torch.learn import nn

torch.manual_seed(3)


def block_of(value):
    return TensorBlock(
        torch.full((2, 3), value),
        Labels(["system", "atom"], torch.tensor([[0, 0], [0, 1]])),
        [],
        Labels.range("property", 3),
    )


def map_of(value):
    return TensorMap(Labels(["key"], torch.tensor([[4], [6]])), [block_of(value), block_of(2 * value)])


class Custom(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.register_buffer("number", torch.tensor([value]))
        self.register_buffer("labels", Labels(["a"], torch.tensor([[int(value)]])))
        self.register_buffer("block", block_of(value))
        self.register_buffer("tensor", map_of(value))
        self.register_buffer(
            "nested", {"map": map_of(value), "list": [block_of(value), block_of(-value)]}
        )
        self.linear = torch.nn.Linear(3, 1)

    def forward(self, tensor):
        blocks = []
        for key, block in mts.multiply(tensor, self.tensor).items():
            values = self.linear(block.values) + self.number
            assert key in self.tensor.keys
            blocks.append(TensorBlock(values, block.samples, [], Labels.range("out", 1)))
        return TensorMap(tensor.keys, blocks)


def show(title, model):
    print(title)
    print(model.labels)
    print(model.block, model.block.values.dtype)
    print(model.tensor, model.tensor[0].values.dtype)
    print(model.number, model.nested["map"][1].values, model.nested["list"][1].values)
    print(model(map_of(0.5).to(model.number.dtype)))


model = Custom(1.0)
show("model", model)
model.to(torch.float64)
show("in float64", model)

state = model.state_dict()
print(list(state))
print(state["_extra_state"].keys())

other = Custom(5.0).to(torch.float64)
show("other", other)
print(other.load_state_dict(state))
show("other, with the state of model", other)
assert mts.equal(other.tensor, model.tensor)
assert mts.equal(other(map_of(0.5).to(torch.float64)), model(map_of(0.5).to(torch.float64)))


class Short(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.labels = nn.Buffer(Labels.range("a", value))
        self.block = nn.Buffer(block_of(float(value)), persistent=False)


short = Short(2)
print(short.labels, short.block)
print(short.state_dict()["_extra_state"].keys())
again = Short(3)
again.load_state_dict(short.state_dict())
print(again.labels, again.block.values)
print(again.to(torch.float64).block.values)
