"""Compiles what extraction has compiled, or loads it where it is kept, and prints the processor seconds."""

import time

from udfs.pairs.loop import KERNELS

begin = time.process_time()
KERNELS.compile()
print(time.process_time() - begin)
