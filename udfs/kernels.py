"""All kernels, to be compiled or loaded before they are needed: for a check of the executors, for tests, to be shipped.

Run as a module, it compiles them all.
"""

from collections.abc import Sequence

from udfs.balancing.expected_sizes_kernel import expected_sizes_kernel
from udfs.compilation import Kernel, compile_in_child
from udfs.exclusion.key_kernel import digest_keys_kernel, find_listed_kernel, look_up_kernel, plain_keys_kernel
from udfs.kernel_cache import find_kept, shipped_folder
from udfs.matching.token_kernel import fill_filter, insert_entries, insert_tokens, scan_texts
from udfs.matching.unit_kernel import units_kernel
from udfs.pairs.loop import KERNELS

WORKER_KERNELS = (
    *KERNELS.kernels,
    scan_texts,
    units_kernel,
    expected_sizes_kernel,
    plain_keys_kernel,
    find_listed_kernel,
    digest_keys_kernel,
    look_up_kernel,
)
DRIVER_KERNELS = (insert_tokens, insert_entries, fill_filter)


def warm(kernels: Sequence[Kernel] = WORKER_KERNELS) -> str:
    """Loads kernels, which another process compiles where they have not been for this machine, as in a run.

    Returns:
        `shipped` where they came with this Python, `found` where they had been compiled before, `compiled` where at
        least one was compiled now, `not_kept` where that will be done again in every process.
    """
    if _load(kernels):
        folders = [find_kept(kernel.function) for kernel in kernels]
        return "shipped" if all(folder and folder.is_relative_to(shipped_folder()) for folder in folders) else "found"
    compile_in_child(kernels)
    if _load(kernels):
        return "compiled"
    for kernel in kernels:
        # Extraction does without.
        if kernel not in KERNELS.kernels:
            kernel()
    return "not_kept"


def _load(kernels: Sequence[Kernel]) -> bool:
    loaded = [kernel.load() for kernel in kernels]
    return all(loaded)


if __name__ == "__main__":
    warm((*WORKER_KERNELS, *DRIVER_KERNELS))
