"""How the script of a verdict on a planted defect is run: with the defect, and without it."""

import contextlib
import io
import re
import types
import warnings

import torch

from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.catalog import Call, Recipe
from tmref.implementations.reference import Reference
from tmref.laws import process
from tmref.laws.runner import check
from tmref.laws.script import ScriptWriter
from tmref.laws.twin import quiet

#: The lines by which a script makes a module of nn, and sets its parameters.
_MADE = re.compile(
    r"""^(\ *)(\w+)\ =\ nn\.\w+\(.*\n
    (?:\1for\ parameter,\ value\ in\ zip\(\2\..*\n\1\ \ \ \ parameter\.data\.copy_\(value\)\n)?""",
    re.MULTILINE | re.VERBOSE,
)


class Script:
    """The script of the verdict on a planted defect."""

    def __init__(self, planted, law, row, **options):
        self.planted = planted
        self._recipes = {}
        bound = ScriptWriter.bound

        def noted(writer, name, value):
            lines = bound(writer, name, value)
            if isinstance(value, Recipe):
                self._recipes.setdefault(name, {})["\n".join(lines)] = value
            return lines

        ScriptWriter.bound = noted
        try:
            self.verdict = check(law, planted.narrowed(row), planted.implementation, **options)
        finally:
            ScriptWriter.bound = bound
        self.text = self.verdict.reproducer or ""

    def raises(self, implementation):
        """What the script raises where it is about this implementation; None where nothing."""
        code, names = self._about(implementation)
        try:
            with (
                adding_gradients_by(implementation),
                process.as_in_a_fresh_one() as fresh,
                process.kept(fresh),
                quiet(),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                exec(compile(code, "script", "exec"), names)
        except BaseException as error:
            return error
        return None

    def _about(self, implementation):
        """The script and the names in it, where these stand for what this implementation makes."""
        wrong, code, names = self.planted.implementation, self.text, {"__name__": "script"}
        if wrong.imports != Reference.imports:  # the row's own modules, which are defined there
            if implementation is not wrong:
                for definition in wrong.imports:
                    code = code.replace(f"{definition}\n", "")
                code = "\n".join([*implementation.imports, code])
            return code, names
        code = "\n".join(line for line in code.splitlines() if line not in wrong.imports) + "\n"
        names.update(_names(implementation))
        if type(implementation).build is not Reference.build:
            left = {name: list(recipes.values()) for name, recipes in self._recipes.items()}

            def made(found):
                if not left.get(found[2]):
                    return found[0]
                names[f"recipe_{found.start()}"] = left[found[2]].pop(0)
                return f"{found[0]}{found[1]}{found[2]} = build(recipe_{found.start()})\n"

            names["build"] = implementation.build
            code = _MADE.sub(made, code)
        return code, names


@contextlib.contextmanager
def adding_gradients_by(implementation):
    """Have gradients added as the implementation does, where it makes calls in a way of its own."""
    original, making = TensorBlock.add_gradient, []

    def add_gradient(block, *args):
        if making:
            return original(block, *args)
        making.append(block)
        try:
            return implementation.make(Call("add_gradient", (block, *args)))
        finally:
            making.pop()

    if type(implementation).make is not Reference.make:
        TensorBlock.add_gradient = add_gradient
    try:
        yield
    finally:
        TensorBlock.add_gradient = original


def _names(implementation):
    """What the script calls by a name, made as the implementation makes it."""
    names = implementation.names_in_code()
    if type(implementation).make is not Reference.make:
        names["nn"] = types.SimpleNamespace(
            **{name: Made(implementation, name, of) for name, of in vars(names["nn"]).items()}
        )
        for name in ("Labels", "TensorBlock", "TensorMap"):
            names[name] = Made(implementation, name, names[name])
    elif type(implementation).labels is not Reference.labels:
        names["Labels"] = OfLabels(implementation)
    return names


class Made:
    """A class of an implementation that makes its objects in a way of its own."""

    def __init__(self, implementation, name, of):
        self._implementation, self._name, self._of = implementation, name, of

    def __call__(self, *args, **kwargs):
        try:
            return self._implementation.make(Call(self._name, args, kwargs))
        except Exception:  # the defect may be about the last of several calls alone
            return self._of(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._of, name)


class OfLabels:
    """A class of labels whose other constructors give labels of the class, too."""

    def __init__(self, implementation):
        self._labels, self._class = implementation.labels, implementation.Labels

    def __call__(self, *args):
        return self._class(*args)

    def __getattr__(self, name):
        made = getattr(self._class, name)
        return lambda *args: self._labels(made(*args))


def made_by(code):
    """What the code of a counterexample makes."""
    names = {"torch": torch, "nn": nn, "Labels": Labels, "TensorBlock": TensorBlock}
    names["TensorMap"] = TensorMap
    names["build"] = lambda x: torch.nn.Identity()
    names["Called"] = lambda module, **further: module
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors is a no-op")
        exec(code, names)
    return names
