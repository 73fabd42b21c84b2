"""The first batches of a process, from two threads at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[2]

# Wherever the binding looks numpy up, a pause lets the other thread come, which without it happens once in thousands of starts.
_TWO_AT_ONCE = """
import builtins, faulthandler, sys, threading, time
faulthandler.dump_traceback_later(20, exit=True)
from models.openvino_run import CompiledBert
compiled = CompiledBert(sys.argv[1], precision="fp32", threads=1, pad=0, longest=8)
imported = builtins.__import__
def slowly(name, *rest, **more):
    if name.startswith("numpy"):
        time.sleep(0.1)
    return imported(name, *rest, **more)
builtins.__import__ = slowly
together = threading.Barrier(2)
found = []
def run():
    together.wait()
    found.extend(values.tolist() for _, (values,) in compiled.run_all([[5, 6]], ("sum",), 8))
threads = [threading.Thread(target=run) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found)
"""


def test_two_threads_that_come_first_at_once_do_not_wait_for_each_other(tmp_path: Path) -> None:
    import openvino as ov
    from openvino import opset13 as op

    ids, mask = (op.parameter([-1, -1], ov.Type.i32, name=name) for name in ("ids", "mask"))
    out = op.result(op.convert(op.add(ids, mask), "f32"))
    out.output(0).set_names({"sum"})
    ov.save_model(ov.Model([out], [ids, mask], "sum"), tmp_path / "sum.xml", compress_to_fp16=False)
    command = [sys.executable, "-c", _TWO_AT_ONCE, str(tmp_path / "sum.xml")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == str([[[6.0, 7.0]]] * 2).split()
