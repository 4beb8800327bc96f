"""A library that crashes, hangs and lies: a row for every fault, which shows on maps of two blocks."""

import contextlib
import ctypes
import os
import re
import sys
import time

import torch

from tmref.implementations.reference import Reference
from tmref.laws import row_of_module


def swallow():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.1)


def raises(error):
    def fault():
        raise error

    return fault


class OfItsOwn(BaseException):
    """What no handler of exceptions catches."""


class NeverPickled(Exception):
    """What can't be sent to another process."""

    def __reduce__(self):
        raise TypeError("no pickles")


def noise():
    print("x" * 1_000_000, "\x1b[31m")
    print("\x1b[2J", file=sys.stderr)
    os.write(1, b"\xff\x00" * 1_000)


#: By row: what it does, and what its verdict says.
FAULTS = {
    "segfault": (lambda: ctypes.string_at(0), r"crashed \(SIGSEGV\)"),
    "abort": (os.abort, r"crashed \(SIGABRT\)"),
    "exit_0": (lambda: os._exit(0), "it ended the process, with status 0"),
    "exit_3": (lambda: os._exit(3), "it ended the process, with status 3"),
    "sleeps": (lambda: time.sleep(1_000), "it took longer than [13] s"),
    "searches": (lambda: re.match(r"(a+)+$", "a" * 60 + "b"), "it took longer than [13] s"),
    "swallows": (swallow, "it took longer than [13] s"),
    "devours": (lambda: [bytearray(2**26) for _ in range(128)], "it used more than 2 GiB of memory"),
    "closes_files": (lambda: os.closerange(0, 200), "it ended the process, with status"),
    "sys_exit": (lambda: sys.exit(0), "the module can't be called: SystemExit: 0"),
    "interrupts": (raises(KeyboardInterrupt()), "the module can't be called: KeyboardInterrupt"),
    "of_its_own": (raises(OfItsOwn("own")), "the module can't be called: OfItsOwn: own"),
    "surrogates": (raises(ValueError("\udc80")), r"the module can't be called: ValueError: \\udc80"),
    "never_pickled": (raises(NeverPickled("x")), "the module can't be called: NeverPickled: x"),
    "recursion": (raises(RecursionError("deep")), "the module can't be called: RecursionError: deep"),
    "noise": (noise, None),
    "replaces_stdout": (lambda: setattr(sys, "stdout", None), None),
    "none": (lambda: None, None),
}


def build(fault):
    class Faulty(torch.nn.Module):
        def forward(self, x):
            if len(x) == 2:
                fault()
            return x

    return lambda x: Faulty()


class Faults(Reference):
    name, version = "faults", "1"
    judges_data = False
    rows = tuple(
        row_of_module(build(fault), name=name, traits=["keeps_keys"])
        for name, (fault, _) in FAULTS.items()
    )


implementation = Faults()
