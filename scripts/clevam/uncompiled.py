"""PyTorch's compiler left out of imports, and of networks that are loaded.

PyTorch, diffusers, transformers and torchvision mark functions for it, and ask it whether it has made a network, for
which they import all of it: up to a second of the four that a job with a network takes to start. Nothing here is
compiled.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

NAMES = ("torch._dynamo", "torch._dynamo.utils", "torch._dynamo._trace_wrapped_higher_order_op")


@contextmanager
def uncompiled() -> Iterator[None]:
    """What is imported or loaded within does not import the compiler; there is no change if it is there already."""
    marks = {} if NAMES[0] in sys.modules else {name: Marks(name) for name in NAMES}
    sys.modules.update(marks)
    try:
        yield
    finally:
        for name in marks:
            del sys.modules[name]


class Marks(ModuleType):
    """Stands for one of the compiler's modules: for a while its functions are decorators that change nothing, and are
    its own afterwards."""

    __path__ = ()

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)

        def function(*args, **kwargs):
            if sys.modules.get(self.__name__) is self:
                return (args and args[0]) or function
            return getattr(import_module(self.__name__), name)(*args, **kwargs)

        function.OptimizedModule = Marks  # torch._dynamo.eval_frame.OptimizedModule, which no network is
        return function
