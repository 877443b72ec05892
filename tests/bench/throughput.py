"""Measures training in images per second: `maetok` beside PyTorch, on this machine, in turns.

    python tests/bench/throughput.py --maetok PROGRAM [--device cpu,libtorch] [--precision f32,bf16] [--rounds 5]

PROGRAM is a `maetok` built with the devices asked for; for libtorch, LD_LIBRARY_PATH must name PyTorch's libraries. They
are measured one after the other in every round, each alone and with two threads: PyTorch as one process with two and as
two processes with one. What is printed are medians over the rounds, and their ratio to the better of PyTorch's. All
train on made-up pictures from memory, so that disks and decoders do not count. Needs PyTorch, Pillow and NumPy, and a
machine with nothing else to do.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = 2
CLASSES = 4


def pictures(folder):
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(0)
    for split, count in (("train", 64), ("held-out", 2)):
        for label in range(CLASSES):
            at = folder / split / f"class-{label}"
            at.mkdir(parents=True)
            for number in range(count):
                coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=numpy.uint8))
                coarse.resize((64, 64), Image.BICUBIC).save(at / f"{number}.png")


def ours(program, kind, device, precision, data, tokenizer, steps):
    """Images per second of every interval of the log but the first, and the number of parameters."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [program, "train", kind, "--data", data, "--out", out, "--device", device, "--precision", precision]
        command += ["--steps", steps, "--workers", THREADS, "--log-every", max(steps // 6, 1), "--evaluate-pictures", 1]
        command += ["--evaluate-every", 0, "--sample-every", 0, "--checkpoint-every", 0]
        command += ["--tokenizer", tokenizer] if kind == "diffusion" else ["--start", "spatial"]
        # Each of the threads above is one of libtorch's; left alone, each would start as many again.
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(done.stderr)
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        speeds = [line["images_per_second"] for line in log if "images_per_second" in line]
        words = done.stderr.split()
        return speeds[1:], int(words[words.index("parameters") - 1].replace(",", ""))


def theirs(kind, precision, steps, processes):
    """The same of PyTorch."""
    command = [sys.executable, __file__, "--pytorch", kind, "--precision", precision, "--steps", steps]
    command = list(map(str, [*command, "--processes", processes]))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    answer = json.loads(done.stdout.splitlines()[-1])  # Gloo says something before
    return answer["speeds"], answer["parameters"]


def pytorch(rank, kind, precision, steps, processes, meeting):
    """One of PyTorch's processes; the first prints what was measured."""
    sys.path.insert(0, str(Path(__file__).parent))
    import torch
    from toon64 import Training

    torch.set_num_threads(THREADS // processes)
    if processes > 1:
        where = f"file://{meeting}"
        torch.distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=processes)
    training = Training(kind, CLASSES, precision == "bf16", processes)
    interval, speeds = max(steps // 6, 1), []
    for _ in range(6):
        started = time.perf_counter()
        for _ in range(interval):
            training.step()
        speeds.append(training.model.batch * interval / (time.perf_counter() - started))
    if rank == 0:
        print(json.dumps({"speeds": speeds[1:], "parameters": training.parameters()}))


def pytorch_processes(arguments):
    with tempfile.TemporaryDirectory() as folder:
        rest = (arguments.pytorch, arguments.precision, arguments.steps, arguments.processes, Path(folder) / "meeting")
        if arguments.processes == 1:
            return pytorch(0, *rest)
        from torch import multiprocessing

        multiprocessing.spawn(pytorch, rest, arguments.processes)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--maetok", help="the program")
    arguments.add_argument("--device", default="cpu", help="devices of maetok, one after the other")
    arguments.add_argument("--precision", default="f32", help="f32, bf16 or both")
    arguments.add_argument("--kind", default="tokenizer,diffusion", help="what to train")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=60, help="updates of each measurement")
    arguments.add_argument("--pytorch", help=argparse.SUPPRESS)
    arguments.add_argument("--processes", type=int, default=1, help=argparse.SUPPRESS)
    arguments = arguments.parse_args()
    if arguments.pytorch:
        return pytorch_processes(arguments)
    if not arguments.maetok:
        sys.exit("--maetok is missing: the program to measure.")

    with tempfile.TemporaryDirectory() as folder:
        data, tokenizer = Path(folder) / "data", Path(folder) / "tokenizer"
        pictures(data)
        command = [arguments.maetok, "train", "tokenizer", "--data", data, "--out", tokenizer, "--steps", "1"]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        for kind in arguments.kind.split(","):
            for precision in arguments.precision.split(","):
                measured = {}
                for _ in range(arguments.rounds):
                    for processes in (1, THREADS):
                        speeds, count = theirs(kind, precision, arguments.steps, processes)
                        measured.setdefault(f"PyTorch, {processes} processes", []).extend(speeds)
                    for device in arguments.device.split(","):
                        speeds, own = ours(arguments.maetok, kind, device, precision, data, tokenizer, arguments.steps)
                        assert own == count, f"{own} parameters are not PyTorch's {count}"
                        measured.setdefault(f"maetok, {device}", []).extend(speeds)
                beside = max(statistics.median(speeds) for name, speeds in measured.items() if "PyTorch" in name)
                for name, speeds in measured.items():
                    middle, low, high = statistics.median(speeds), min(speeds), max(speeds)
                    ratio = f"{middle / beside:5.2f} of PyTorch's best"
                    speed = f"{middle:7.1f} images/s ({low:.1f} to {high:.1f})"
                    print(f"{kind} {precision} {name:20} {speed}  {ratio}", flush=True)


if __name__ == "__main__":
    main()
