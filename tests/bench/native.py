"""Times the ONNX files of `export_onnx.py` in onnxruntime and in PyTorch on the CPU, and prints JSON.

    python native.py FOLDER [--threads N] [--runs N] [--at-least SECONDS]

PyTorch runs the same graph operator by operator, as eager code does, with its own linear layer and
fused attention where the graph spells them out. Without PyTorch its figures are left out, and that is said.
"""

import argparse
import importlib.metadata
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

STAGES = {"encoder": "encode", "decoder": "decode", "step": "step"}


def timed(work, runs, at_least):
    """Seconds of one repetition, `runs` times, each at least `at_least` long."""
    work()
    start = time.perf_counter()
    work()
    repeats = max(1, min(10_000, int(np.ceil(at_least / (time.perf_counter() - start)))))
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        seconds.append((time.perf_counter() - start) / repeats)
    return seconds


def inputs(model):
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    random = np.random.default_rng(0)
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    if "t" in values:
        values["t"][:], values["y"][:] = 0.5, 0
    return values


def by_onnxruntime(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    feed = {i.name: random.standard_normal(i.shape).astype(np.float32) for i in session.get_inputs()}
    if "t" in feed:
        feed["t"][:], feed["y"][:] = 0.5, 0
    return lambda: session.run(None, feed)


def by_torch(path, threads):
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    model = onnx.load(path)
    constants = {c.name: torch.from_numpy(numpy_helper.to_array(c).copy()) for c in model.graph.initializer}
    feed = {name: torch.from_numpy(value) for name, value in inputs(model).items()}
    steps = []
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        steps.append((node.op_type, list(node.input), list(node.output), attributes))

    def one(kind, names, attributes, values):
        x = values[names[0]]
        match kind:
            case "Add":
                return x + values[names[1]]
            case "Sub":
                return x - values[names[1]]
            case "Mul":
                return x * values[names[1]]
            case "MatMul":
                return x @ values[names[1]]
            case "Conv":
                return F.conv2d(x, values[names[1]], values[names[2]], stride=attributes["strides"])
            case "Gelu":
                return F.gelu(x, approximate=attributes["approximate"].decode())
            case "LayerNormalization":
                return F.layer_norm(x, x.shape[-1:], values[names[1]], values[names[2]], attributes["epsilon"])
            case "Softmax":
                return x.softmax(-1)
            case "Sigmoid":
                return x.sigmoid()
            case "Cos":
                return x.cos()
            case "Sin":
                return x.sin()
            case "Cast":
                return x.long()
            case "Gather":
                return x[values[names[1]]]
            case "Reshape":
                return x.reshape(ints(names[1]))
            case "Transpose":
                return x.permute(attributes["perm"])
            case "Concat":
                return torch.cat([values[name] for name in names], attributes["axis"])
            case "Slice":
                (start,), (end,), (axis,) = (ints(name) for name in names[1:])
                return x.narrow(axis, start, end - start)
            case "Split":
                return x.chunk(attributes["num_outputs"], attributes["axis"])
        raise SystemExit(f"native.py does not know the operator {kind}")

    fused = fuse_linear(fuse_attention(steps), constants)
    # What does not change from run to run is looked up once.
    shapes = {name: value.tolist() for name, value in constants.items() if value.dtype == torch.int64}
    ints = lambda name: shapes[name]

    def work():
        values = dict(constants) | feed
        with torch.inference_mode():
            for kind, names, outputs, attributes in fused:
                if kind == "Attention":
                    q, k, v = (values[name] for name in names)
                    result = F.scaled_dot_product_attention(q, k, v, scale=1.0)
                elif kind == "Linear":
                    x, weight, bias = (values[name] for name in names)
                    result = F.linear(x, weight, bias)
                else:
                    result = one(kind, names, attributes, values)
                values |= dict(zip(outputs, result)) if kind == "Split" else {outputs[0]: result}
        return values[model.graph.output[0].name].numpy()

    return work


def fuse_linear(steps, constants):
    """A product with a constant matrix and the sum with a constant become PyTorch's linear layer."""
    fused, i = [], 0
    while i < len(steps):
        kind, names, outputs, _ = steps[i]
        after = steps[i + 1] if i + 1 < len(steps) else (None, [], [], {})
        if kind == "MatMul" and names[1] in constants and after[0] == "Add" and after[1][0] == outputs[0] and after[1][1] in constants:
            weight = f"{names[1]}_transposed"
            constants[weight] = constants[names[1]].T.contiguous()
            fused.append(("Linear", [names[0], weight, after[1][1]], after[2], {}))
            i += 2
        else:
            fused.append(steps[i])
            i += 1
    return fused


def fuse_attention(steps):
    """Transpose, MatMul, Softmax, MatMul in a row become one step."""
    fused, i = [], 0
    while i < len(steps):
        kinds = [step[0] for step in steps[i : i + 4]]
        if kinds == ["Transpose", "MatMul", "Softmax", "MatMul"]:
            (_, (k,), _, _), (_, (q, _), _, _), _, (_, (_, v), out, _) = steps[i : i + 4]
            fused.append(("Attention", [q, k, v], out, {}))
            i += 4
        else:
            fused.append(steps[i])
            i += 1
    return fused


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--at-least", type=float, default=0.2)
    arguments = parser.parse_args()
    engines = {f"onnxruntime {onnxruntime.__version__}": by_onnxruntime}
    try:
        # Not imported yet: it would count in the memory of the first engine.
        engines[f"PyTorch {importlib.metadata.version('torch')}"] = by_torch
    except importlib.metadata.PackageNotFoundError:
        print("PyTorch is not installed: its figures are left out", file=sys.stderr)
    results = []
    for engine, prepare in engines.items():
        figures, prepared = [], {}
        # What a first picture takes: one step and the decoder, from files to numbers.
        start, cold = time.perf_counter(), None
        if all((arguments.folder / f"{stage}.onnx").exists() for stage in ("step", "decoder")):
            for stage in ("step", "decoder"):
                prepared[stage] = prepare(arguments.folder / f"{stage}.onnx", arguments.threads)
                prepared[stage]()
            cold = time.perf_counter() - start
        for stage, name in STAGES.items():
            path = arguments.folder / f"{stage}.onnx"
            if path.exists():
                work = prepared.get(stage) or prepare(path, arguments.threads)
                seconds = timed(work, arguments.runs, arguments.at_least)
                figures.append({"name": name, "seconds": seconds, "flop": 0, "bytes": 0, "dispatches": 0})
        # Of this process: for a second engine it would count the first one's.
        memory = None if results else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        about = {"engine": engine, "threads": arguments.threads, "cold": cold, "memory": memory}
        results.append(about | {"figures": figures})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
