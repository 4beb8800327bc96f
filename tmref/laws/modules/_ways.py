"""The lines of code that save, copy, convert and move modules."""

from __future__ import annotations

#: How a state dict gets from one module to another; it is called ``state`` then.
STATES = (
    "state = {of}.state_dict()",
    "state = copy.deepcopy({of}.state_dict())",
    "state = pickle.loads(pickle.dumps({of}.state_dict()))",
    "file = io.BytesIO()\ntorch.save({of}.state_dict(), file)\nfile.seek(0)\nstate = torch.load(file)",
)
#: How a whole module is copied.
COPIES = (
    "other = copy.deepcopy(module)",
    "other = pickle.loads(pickle.dumps(module))",
    "file = io.BytesIO()\ntorch.save(module, file)\nfile.seek(0)\n"
    "other = torch.load(file, weights_only=False)",
)
CONVERSIONS = (
    ".double()",
    ".float()",
    ".half()",
    ".bfloat16()",
    ".to(torch.float64)",
    ".to(dtype=torch.float16)",
    ".to('cpu', torch.float32)",
    ".to(torch.zeros(1, dtype=torch.float64))",
    ".type(torch.float64)",
)
#: What changes no dtype.
MOVES = (".cpu()", ".to('cpu')", ".to(device='cpu')", ".to(torch.device('cpu'), non_blocking=True)")
