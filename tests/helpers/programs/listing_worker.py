"""progan-worker that, when it ends, prints which of the modules in NOT_LOADED are loaded."""

import json
import os
import sys

from progan.stages import worker

NOT_LOADED = ("mlflow", "sympy", "torch._dynamo.symbolic_convert", "torch._inductor")
leave = worker.leave


def list_and_leave(code: int) -> None:
    """Write a line, whole, since two ranks share the output; and end."""
    loaded = [name for name in NOT_LOADED if sys.modules.get(name)]
    os.write(1, f"result {json.dumps(loaded)}\n".encode())
    leave(code)


if __name__ == "__main__":
    worker.leave = list_and_leave
    worker.main()
