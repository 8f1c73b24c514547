"""The command line: `privimage COMMAND …`."""

from __future__ import annotations

import sys

from configs.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit code 0: done; 2: something the user can mend; 128 + n: stopped by signal n."""
    from launch.commands import parser  # heavy imports come after the interpreter is sure that it is wanted
    from launch.console import plain_warnings
    from launch.interrupts import Interrupted

    plain_warnings()
    options = parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except UserError as error:
        print(f"privimage: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"privimage: {stop}", file=sys.stderr)
        return 128 + stop.signal
    except BrokenPipeError:
        sys.stderr.close()
        return 141


if __name__ == "__main__":
    sys.exit(main())
