"""Linear layers: many small blocks, and few."""

import torch

import tmref
from tmref.implementations import Implementation, UnknownImplementation, load

PLAIN_TORCH = "plain torch"
NAMES = ("reference", "metatensor-learn", "metatensor-torch")
BLOCKS = (1, 16, 256)
SAMPLES = (1, 100)
FEATURES = 32


def _loaded() -> dict[str, Implementation]:
    """The implementations that are there. Imported here, once: asv forks for every measurement."""
    found = {}
    for name in NAMES:
        try:
            found[name] = load(name)
        except UnknownImplementation:
            continue
    return found


IMPLEMENTATIONS = _loaded()


class Linear:
    """One layer of 32 to 32 features for every block, on one thread."""

    params = ((PLAIN_TORCH, *NAMES), BLOCKS, SAMPLES)
    param_names = ("implementation", "blocks", "samples")

    def setup(self, name: str, blocks: int, samples: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        values = [torch.randn(samples, FEATURES) for _ in range(blocks)]
        if name == PLAIN_TORCH:
            modules = [torch.nn.Linear(FEATURES, FEATURES) for _ in values]
            self.forward = lambda: [module(x) for module, x in zip(modules, values, strict=True)]
            self.values = list
        elif name in IMPLEMENTATIONS:
            implementation = IMPLEMENTATIONS[name]
            keys = tmref.Labels.range("key", blocks)
            tensor = implementation.encode(
                tmref.TensorMap(keys, [tmref.block_from_array(x) for x in values])
            )
            module = implementation.nn.Linear(implementation.labels(keys), FEATURES, FEATURES)
            self.forward = lambda: module(tensor)
            self.values = lambda out: [block.values for block in out]
        else:
            raise NotImplementedError(f"{name} is not installed")
        self.ones = [torch.ones(samples, FEATURES) for _ in values]

    def time_forward(self, name: str, blocks: int, samples: int) -> None:
        self.forward()

    def time_forward_and_backward(self, name: str, blocks: int, samples: int) -> None:
        torch.autograd.backward(self.values(self.forward()), self.ones)
