"""A rank that does what its argument says: report its environment, fail or wait for SIGTERM."""

import json
import os
import signal
import sys
import time

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS", "PROGAN_TEST")


def on_sigterm(number: int, frame: object) -> None:
    """Print it and end."""
    print("SIGTERM", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_sigterm)
    print(f"pid {os.getpid()}", flush=True)
    if sys.argv[1] == "report":
        print("result " + json.dumps([*map(os.environ.get, VARIABLES), *sys.argv[1:]]))
    elif sys.argv[1] == "fail" and os.environ["RANK"] == "1":
        raise RuntimeError("failed as asked")
    else:
        time.sleep(600)
