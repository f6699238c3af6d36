"""All kernels, to be compiled or loaded before they are needed: for a check of the executors, for tests, to be shipped.

Run as a module, it compiles them all.
"""

from collections.abc import Sequence

from udfs.balancing.expected_sizes_kernel import expected_sizes_kernel
from udfs.compilation import Kernel
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
    """Loads kernels, and compiles those that have not been for this machine.

    Returns:
        `shipped` where they came with this Python, `found` where they had been compiled before, `compiled` where at
        least one was compiled now, `not_kept` where that will be done again in every process.
    """
    found = [find_kept(kernel.function) for kernel in kernels]
    for kernel in kernels:
        kernel()
    if None not in found:
        return "shipped" if all(folder and folder.is_relative_to(shipped_folder()) for folder in found) else "found"
    return "not_kept" if None in [find_kept(kernel.function) for kernel in kernels] else "compiled"


if __name__ == "__main__":
    warm((*WORKER_KERNELS, *DRIVER_KERNELS))
