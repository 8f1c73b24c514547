"""Keeping freed memory in the process: training frees and takes the same blocks in every step."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
LARGEST_BLOCK = 32 * 2**20  # what glibc allows at most
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library hold on to freed memory, and say whether it can.

    Without it every step hands most of its memory back and has each page of it cleared and mapped anew, up to a tenth
    of its time on the CPU. The process' size stays at its peak. Elsewhere than with glibc nothing happens.
    """
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(adjust(M_MMAP_THRESHOLD, LARGEST_BLOCK)) and bool(adjust(M_TRIM_THRESHOLD, NEVER))
