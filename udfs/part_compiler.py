"""numba's compiler for functions that only other compiled functions call.

numba optimizes each of them with all that it calls, and makes machine code of it that nobody runs, before its callers
are optimized with all of it again: most of the time in a kernel of a hundred parts. Here a part stays as it was
translated until the kernel that it belongs to is optimized, once and as a whole.

This relies on how numba's compiler is made inside: `NativeLowering` makes a library of LLVM's code for each function,
and finishes it when it is linked into another.
"""

from typing import Any

import numba
from numba.core import codegen, compiler, compiler_machinery, typed_passes

_numba: Any = numba
_lowering: Any = typed_passes.NativeLowering
_library: Any = codegen.JITCodeLibrary
_compiler: Any = compiler.CompilerBase
_builder: Any = compiler.DefaultPassBuilder
_register: Any = compiler_machinery.register_pass


class _PartLibrary(_library):  # type: ignore[misc]
    """The code of a part, which is finished as soon as that of all parts that it calls is linked to it."""

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
        state.targetctx.insert_user_function(handle, result.fndesc, [state.library])
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
