"""Compiles what extraction has compiled, or loads it where it is kept, and prints the processor seconds."""

import time

from udfs.pages.html_kernel import tag_kernel
from udfs.pages.wat_kernel import link_kernel
from udfs.pairs.kernel import pair_kernel
from udfs.pairs.loop_kernel import loop_kernel

begin = time.process_time()
for compile_kernel in (loop_kernel, pair_kernel, tag_kernel, link_kernel):
    compile_kernel()
print(time.process_time() - begin)
