"""A library that crashes, hangs and lies: a row for each fault, which shows on several blocks."""

import contextlib
import ctypes
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any

import hypothesis
import metatensor.torch
import torch

from tmref.implementations.reference import Reference
from tmref.laws import row_of_module
from tmref.verdicts import ERROR, FAIL, PASS

KEYS = "keys_survive_in_order"
SETTINGS = "what_is_set_for_the_whole_process_stays"
NOW_AND_THEN = "the_same_input_gives_the_same_output"
TORCH = "values_are_those_of_plain_torch"


@dataclass
class Fault:
    """What ``does`` it, with a map, for another output; what one ``law`` says of it, in ``words``."""

    does: Any
    words: str
    law: str = KEYS
    verdict: str = ERROR
    #: Whether it is held in the process that runs the laws.
    held: bool = True
    #: Whether it takes seconds.
    slow: bool = False


def swallow(x):
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.1)


def loop(x):
    while True:
        pass


def locked(x):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def raising(error):
    def does(x):
        raise error

    return does


class OfItsOwn(BaseException):
    """What no handler of exceptions catches."""


class NeverPickled(Exception):
    """What can't be sent to another process."""

    def __reduce__(self):
        raise TypeError("no pickles")


class Unsaid(Exception):
    """What has no words."""

    def __str__(self):
        raise ValueError("no words")


class NoString(Exception):
    """What has words that are none."""

    def __str__(self):
        return 1


def forks(x):
    os.fork()
    return x


def forks_and_raises(x):
    if not os.fork():
        raise RuntimeError("the child goes on")
    return x


def leaves_a_helper(x):
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(1_000,)).start()
    os.abort()


def its_own_cause():
    error = ValueError("round")
    error.__cause__ = error.__context__ = error
    return error


def deep(x):
    return deep(x)


def noise(x):
    print("x" * 1_000_000, "\x1b[31m")
    print("\x1b[2J", file=sys.stderr)
    os.write(1, b"\xff\x00" * 1_000)
    return x


def setting(sets):
    def does(x):
        sets()
        return x

    return does


def profile():
    hypothesis.settings.register_profile("theirs", max_examples=1)
    hypothesis.settings.load_profile("theirs")


def folder_gone():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def hooks():
    torch.nn.modules.module.register_module_forward_hook(lambda module, given, output: 2 * output)


class Mode(torch.overrides.TorchFunctionMode):
    """One in which nothing can be done."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        raise RuntimeError("not in this mode")


def with_values(change):
    def does(x):
        y = x.copy()
        for block in y:
            change(block.values)
        return y

    return does


def of_metatensor(x):
    """The map as another library has it."""
    labels = metatensor.torch.Labels(["key"], torch.zeros((1, 1), dtype=torch.int32))
    block = metatensor.torch.TensorBlock(torch.zeros(1, 1), labels, [], labels)
    return metatensor.torch.TensorMap(labels, [block])


def slow(x):
    time.sleep(0.5)
    return x


LATE = "it took longer than [13] s"
CALLED = "the module can't be called: "
HANGS = {"slow": True}
ENDS = {"held": False}
STAYS = {"law": SETTINGS, "verdict": FAIL}
NO_MAP = {"verdict": FAIL}

FAULTS = {
    "segfault": Fault(lambda x: ctypes.string_at(0), r"crashed \(SIGSEGV\)", **ENDS),
    "abort": Fault(lambda x: os.abort(), r"crashed \(SIGABRT\)", **ENDS),
    "exit_0": Fault(lambda x: os._exit(0), "it ended the process, with status 0", **ENDS),
    "exit_3": Fault(lambda x: os._exit(3), "it ended the process, with status 3", **ENDS),
    "killed": Fault(lambda x: os.kill(os.getpid(), signal.SIGKILL), r"crashed \(SIGKILL\)", **ENDS),
    "unnamed_signal": Fault(lambda x: os.kill(os.getpid(), 40), r"crashed \(signal 40\)", **ENDS),
    "kills_its_group": Fault(lambda x: os.killpg(0, signal.SIGTERM), r"crashed \(SIGTERM\)", **ENDS),
    "leaves_a_helper": Fault(leaves_a_helper, r"crashed \(SIGABRT\)", **ENDS),
    "forks": Fault(forks, "$", verdict=PASS),
    "forks_and_raises": Fault(forks_and_raises, "$", verdict=PASS),
    "sends_sigint": Fault(
        lambda x: signal.raise_signal(signal.SIGINT), r"it interrupted the process \(SIGINT\)", **ENDS
    ),
    "closes_files": Fault(lambda x: os.closerange(0, 200), "it ended the process, with status", **ENDS),
    "sleeps": Fault(lambda x: time.sleep(1_000), LATE, **HANGS),
    "loops": Fault(loop, LATE, **HANGS),
    "waits": Fault(locked, LATE, **HANGS),
    "searches": Fault(lambda x: re.match(r"(a+)+$", "a" * 60 + "b"), LATE, held=False),
    "swallows": Fault(swallow, LATE, held=False, slow=True),
    "takes_half_a_second": Fault(slow, "$", verdict=PASS, slow=True),
    "devours": Fault(
        lambda x: bytearray(2**33),  # in one go: on a busy machine its time is up before, between pieces
        "it used more than 2 GiB of memory",
        held=False,
        slow=True,
    ),
    "rejects": Fault(lambda x: hypothesis.reject(), CALLED + "UnsatisfiedAssumption: "),
    "stops": Fault(raising(hypothesis.errors.StopTest(0)), CALLED + "StopTest: 0"),
    "too_big": Fault(lambda x: torch.empty(2**50), CALLED + "RuntimeError: .*allocate"),
    "sys_exit": Fault(lambda x: sys.exit(0), CALLED + "SystemExit: 0"),
    "sys_exit_4": Fault(lambda x: sys.exit(4), CALLED + "SystemExit: 4"),
    "interrupts": Fault(raising(KeyboardInterrupt()), CALLED + "KeyboardInterrupt"),
    "generator": Fault(raising(GeneratorExit("closed")), CALLED + "GeneratorExit: closed"),
    "of_its_own": Fault(raising(OfItsOwn("own")), CALLED + "OfItsOwn: own"),
    "surrogates": Fault(raising(ValueError("\udc80")), CALLED + r"ValueError: \\udc80"),
    "never_pickled": Fault(raising(NeverPickled("x")), CALLED + "NeverPickled: x"),
    "unsaid": Fault(raising(Unsaid()), CALLED + r"Unsaid: \(its words can't be had: ValueError\)"),
    "no_string": Fault(raising(NoString()), CALLED + r"NoString: \(its words can't be had: TypeError\)"),
    "its_own_cause": Fault(raising(its_own_cause()), CALLED + "ValueError: round"),
    "long": Fault(raising(ValueError("x" * 50_000_000)), CALLED + "ValueError: x*.*characters more"),
    "recursion": Fault(deep, CALLED + "RecursionError: maximum recursion depth"),
    "returns_none": Fault(lambda x: None, "it returned None, which is no map", **NO_MAP),
    "returns_int": Fault(lambda x: 1, "it returned 1, which is no map", **NO_MAP),
    "returns_array": Fault(
        lambda x: torch.zeros(2).numpy(), "it returned a value of type torch.Tensor", **NO_MAP
    ),
    "returns_another_map": Fault(of_metatensor, "it is a Labels of metatensor.torch", **NO_MAP),
    "nan": Fault(
        with_values(lambda values: values.fill_(torch.nan)),
        r"block\(1\).values is nan",
        law=TORCH,
        verdict=FAIL,
    ),
    "other_numbers": Fault(
        with_values(lambda values: values.add_(random.SystemRandom().random())),
        r".*\.values is ",
        law=NOW_AND_THEN,
        verdict=FAIL,
    ),
    "default_dtype": Fault(
        setting(lambda: torch.set_default_dtype(torch.float64)), ".*get_default_dtype", **STAYS
    ),
    "seed": Fault(setting(lambda: torch.manual_seed(0)), ".*initial_seed", **STAYS),
    "folder": Fault(setting(lambda: os.chdir("/")), ".*os.getcwd", **STAYS),
    "folder_gone": Fault(setting(folder_gone), ".*os.getcwd", **STAYS),
    "another_environment": Fault(
        setting(lambda: setattr(os, "environ", os.environ.copy())), r".*id\(os.environ\)", **STAYS
    ),
    "clock": Fault(setting(lambda: setattr(time, "monotonic", float)), ".*time.monotonic", **STAYS),
    "hooks": Fault(setting(hooks), ".*_global_forward_hooks", **STAYS),
    "mode": Fault(setting(lambda: Mode().__enter__()), ".*function_mode_stack", **STAYS),
    "environment": Fault(setting(lambda: os.environ.update(THEIRS="1")), ".*THEIRS", **STAYS),
    "filters": Fault(
        setting(lambda: warnings.simplefilter("ignore", FutureWarning)), ".*warnings.filters", **STAYS
    ),
    "profile": Fault(setting(profile), ".*get_current_profile_name", **STAYS),
    "replaces_stdout": Fault(setting(lambda: setattr(sys, "stdout", None)), ".*sys.stdout", **STAYS),
    "closes_stderr": Fault(setting(lambda: sys.stderr.close()), ".*sys.stderr", **STAYS),
    "noise": Fault(noise, "$", verdict=PASS),
    "none": Fault(lambda x: x, "$", verdict=PASS),
}
#: What is wrong before anything is called.
UNMADE = "raises_when_made"


def build(does):
    class Faulty(torch.nn.Module):
        def forward(self, x):
            return does(x) if len(x) > 1 else x

    return lambda x: Faulty()


def unmade(x):
    raise ValueError("not today")


class Faults(Reference):
    name, version = "faults", "1"
    judges_data = False
    rows = (
        *(
            row_of_module(
                build(fault.does),
                name=name,
                traits=["keeps_keys", "deterministic"],
                twin=lambda key, block: torch.nn.Identity(),
            )
            for name, fault in FAULTS.items()
        ),
        row_of_module(unmade, name=UNMADE, traits=["keeps_keys"]),
    )


implementation = Faults()
