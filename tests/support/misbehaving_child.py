"""A parsing child that does on request what a hostile file might make it do: shows that the sandbox holds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ingest.parse.child import main


def spin(request):
    while True:
        pass


def sleep(request):
    time.sleep(3600)


def allocate(request):
    hoard = []
    while True:
        hoard.append(bytearray(16 * 2**20))


def crash(request):
    os.kill(os.getpid(), 11)


def leave(request):
    sys.stderr.write("something on standard error\n")
    os._exit(3)


def connect(request):
    import socket

    socket.create_connection(("127.0.0.1", request["port"]), timeout=2)
    return {"connected": True}


def connect_natively(request):
    """Past Python's audit hook, as machine code in a parser would."""
    import ctypes
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.socket(2, 1, 0)
    address = struct.pack("!HH4s8x", 0x0200, request["port"], b"\x7f\x00\x00\x01")
    return {"connected": libc.connect(fd, address, len(address)) == 0}


def start_program(request):
    import subprocess

    subprocess.run(["true"], check=False)
    return {"started": True}


def write(request):
    Path(request["path"]).write_text("x" * 100_000)
    return {"written": True}


def flood(request):
    return {"flood": "A" * request["bytes"]}


def nonsense(request):
    return {"error": {"type": "KeyboardInterrupt", "message": "boo", "code": "x"}}


def environment(request):
    return {"environment": dict(os.environ)}


def pid(request):
    return {"pid": os.getpid()}


if __name__ == "__main__":
    named = [
        spin,
        sleep,
        allocate,
        crash,
        leave,
        connect,
        connect_natively,
        start_program,
        write,
        flood,
        nonsense,
        environment,
        pid,
    ]
    sys.exit(main(sys.argv[1:], {f.__name__: lambda request, tell, f=f: f(request) for f in named}))
