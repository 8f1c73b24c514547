"""The command line: `privimage COMMAND …`."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

from configs.errors import UserError
from configs.files import unwritable
from launch.commands import parse
from launch.console import plain_warnings
from launch.processes.environment import rank
from launch.processes.interrupts import Interrupted, expect_requeue, ignore
from launch.processes.malloc import keep_freed_memory

FIXABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit code 0: done; 2: a mistake that the user can fix; 128 + n: stopped by signal n."""
    if "run" in (sys.argv[1:2] if arguments is None else arguments[:1]):
        expect_requeue()  # before the imports that take seconds
    plain_warnings()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show ε is shown a question mark
            stream.reconfigure(errors="replace")
    keep_freed_memory()
    options = parse(arguments)
    which = f"process {rank()} of the job: " if rank() else ""
    try:
        code = int(options.command(options) or 0)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"privimage: {which}{error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        ignore()
        if not which:
            print(f"privimage: {stop}", file=sys.stderr)
        return 128 + stop.signal
    except KeyboardInterrupt:
        print("privimage: stopped at once; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nobody reads; the last flush must not fail either
        return 141
    except OSError as error:
        if error.errno not in FIXABLE:
            raise
        print(f"privimage: {unwritable(Path(error.filename or '?'), error)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
