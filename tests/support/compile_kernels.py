"""Compiles all kernels into the checkout's cache, so that the processes that run tests side by side find them there."""

from udfs.balancing.expected_sizes_kernel import expected_sizes_kernel
from udfs.matching.token_kernel import fill_filter, insert_entries, insert_tokens, scan_texts
from udfs.pages.html_kernel import tag_kernel
from udfs.pages.wat_kernel import link_kernel
from udfs.pairs.kernel import pair_kernel
from udfs.pairs.loop_kernel import loop_kernel
from udfs.pairs.md5_kernel import md5_kernel

if __name__ == "__main__":
    for compile_kernel in (
        expected_sizes_kernel,
        fill_filter,
        insert_entries,
        insert_tokens,
        link_kernel,
        loop_kernel,
        md5_kernel,
        pair_kernel,
        scan_texts,
        tag_kernel,
    ):
        compile_kernel()
