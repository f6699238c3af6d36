"""numba's compiler for functions that only other compiled functions call, and what makes it quicker for all.

numba optimizes each of the former with all that it calls, and makes machine code of it that nobody runs, before callers
are optimized with all of it again: most of the time in a kernel of a hundred parts. Here a part stays as it was
translated until the kernel that it belongs to is optimized, once and as a whole.

This relies on how numba's compiler is made inside: `NativeLowering` makes a library of LLVM's code for each function,
and finishes it when it is linked into another; `get_call_type` depends on types and on the flags of the caller.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numba
from numba.core import codegen, compiler, compiler_lock, compiler_machinery, targetconfig, typed_passes, types

_numba: Any = numba
_lowering: Any = typed_passes.NativeLowering
_library: Any = codegen.JITCodeLibrary
_compiler: Any = compiler.CompilerBase
_builder: Any = compiler.DefaultPassBuilder
_register: Any = compiler_machinery.register_pass
_builtin: Any = types.BaseFunction
_flags_of_callers: Any = targetconfig.ConfigStack
_lock: Any = compiler_lock.global_compiler_lock


class _PartLibrary(_library):  # type: ignore[misc]
    """The code of a part, without that of the parts that it calls: a kernel is linked with each of them once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.parts: dict[_PartLibrary, None] = {}

    def add_linking_library(self, library: Any) -> None:
        """Keeps a part for the kernel, and links all else."""
        if isinstance(library, _PartLibrary):
            self.parts[library] = None
        else:
            super().add_linking_library(library)

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Leaves it to the kernel."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


@_register(mutates_CFG=True, analysis_only=False)
class _PartLowering(_lowering):  # type: ignore[misc]
    """Translates a part, and makes it known to those that call it."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Does what numba does for a function, but for the machine code."""
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        result = state["cr"]
        # numba tells functions apart by what Python would call, which here has no code behind it.
        module, name, no_address = result.fndesc.lookup_module(), result.fndesc.qualname, 0
        handle = _numba._dynfunc.make_function(
            module, name, "a part of kernels", no_address, result.env, (state.library,)
        )
        state.targetctx.insert_user_function(handle, result.fndesc, [state.library, *state.library.parts])
        state["cr"] = result._replace(cfunc=handle)
        return True


class PartCompiler(_compiler):  # type: ignore[misc]
    """What numba does for a compiled function, with another last step."""

    def define_pipelines(self) -> list[Any]:
        """Replaces the step."""
        pipeline: Any = _builder.define_nopython_pipeline(self.state)
        pipeline.passes = [(_PartLowering if step is _lowering else step, name) for step, name in pipeline.passes]
        pipeline.finalize()
        return [pipeline]


class _Resolved(NamedTuple):
    """What calls of one of numba's functions gave, by their arguments, in one context for callers with equal flags."""

    function: Any
    context: Any
    flags: int
    types: dict[Any, Any]


class _Flags:
    """Numbers flags, so that equal ones have the same number; each object is compared once."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._objects: dict[int, tuple[Any, int]] = {}

    def number(self, flags: Any) -> int:
        if id(flags) not in self._objects:
            self._objects[id(flags)] = flags, self._numbers.setdefault(flags, len(self._numbers))
        return self._objects[id(flags)][1]


@contextmanager
def resolving_calls_once() -> Iterator[None]:
    """Lets numba find the type of a call of an operator, or of a function of its own, once for the same arguments.

    Type inference asks again in every round, and each time all that numba knows of the function is tried in turn.
    Meanwhile Python collects no cycles: nearly all that the compiler makes lives until it has ended.
    """
    resolve = _builtin.get_call_type
    resolved: dict[int, _Resolved] = {}
    numbers = _Flags()

    def resolve_once(function: Any, context: Any, args: Any, kws: Any) -> Any:
        # A function remembers by types alone which implementation it gave last; callers with other flags need another.
        flags = numbers.number(_flags_of_callers.top_or_none())
        known = resolved.get(id(function))
        if known is None or known.context is not context or known.flags != flags:
            known = resolved[id(function)] = _Resolved(function, context, flags, {})
        key = tuple(args), tuple(sorted(kws.items()))
        if key not in known.types:
            known.types[key] = resolve(function, context, args, kws)
        return known.types[key]

    with _lock:
        collects = gc.isenabled()
        try:
            gc.disable()
            _builtin.get_call_type = resolve_once
            yield
        finally:
            _builtin.get_call_type = resolve
            if collects:
                gc.enable()
