"""Checks a host before a task starts; ssh runs it on every host.

    python -m progan.launch.ssh.preflight FOLDER

Prints a free port and the address by which this host was reached. Fails with a message on standard
error if FOLDER does not exist here.
"""

import os
import socket
import sys


def main() -> None:
    """Command line."""
    folder = sys.argv[1]
    if not os.path.isdir(folder):
        sys.exit(f"it does not see {folder}, which must lie on a disk that all hosts share")
    with socket.socket() as listener:
        listener.bind(("", 0))
        port = listener.getsockname()[1]
    _, _, address, _ = os.environ["SSH_CONNECTION"].split()
    print(port, address)


if __name__ == "__main__":
    main()
