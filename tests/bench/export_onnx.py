"""Writes a model folder as ONNX files, so that other engines can be timed on the same weights.

    python export_onnx.py MODEL_FOLDER OUT      encoder.onnx, decoder.onnx, step.onnx
    python export_onnx.py --check FIXTURES      compares what onnxruntime makes of such files with the official numbers

The graphs are what an exporter of the official PyTorch code gives: opset 20, Gelu and LayerNormalization as single
operators, attention as matrix products and a softmax, which onnxruntime fuses where it can. `step.onnx` is one guided
step: class and null class as a batch of two. Weights are f32, as onnxruntime-web computes fastest with them here.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

# Operators of onnxruntime-web 1.27 and onnxruntime 1.32 alike.
OPSET = 20
IR_VERSION = 10


class Graph:
    """An ONNX graph under construction; every method adds nodes and returns the name of a result."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes, self.constants = [], []

    def constant(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def reshape(self, x, *shape):
        return self.op("Reshape", x, self.constant(shape, np.int64))

    def slice(self, x, axis, start, end):
        ints = (self.constant([v], np.int64) for v in (start, end, axis))
        return self.op("Slice", x, *ints)

    def linear(self, x, key):
        weight = self.constant(self.weights[f"{key}.weight"].astype(np.float32).T)
        return self.op("Add", self.op("MatMul", x, weight), self.constant(self.weights[f"{key}.bias"]))

    def norm(self, x, width, key=None, eps=1e-6):
        scale = self.weights[f"{key}.weight"] if key else np.ones(width)
        shift = self.weights[f"{key}.bias"] if key else np.zeros(width)
        return self.op("LayerNormalization", x, self.constant(scale), self.constant(shift), axis=-1, epsilon=eps)

    def attention(self, x, key, shape, heads, rotary=None, qk_norm=False):
        batch, tokens, width = shape
        dim = width // heads
        qkv = self.reshape(self.linear(x, f"{key}.qkv"), batch, tokens, 3, heads, dim)
        parts = self.op("Split", self.op("Transpose", qkv, perm=[2, 0, 3, 1, 4]), num_outputs=3, axis=0, outputs=3)
        q, k, v = (self.reshape(part, batch, heads, tokens, dim) for part in parts)
        if qk_norm:
            q, k = (self.norm(u, dim, f"{key}.{name}_norm", 1e-5) for u, name in ((q, "q"), (k, "k")))
        if rotary:
            q, k = (self.turned(u, rotary, (batch, heads, tokens, dim)) for u in (q, k))
        q = self.op("Mul", q, self.constant(dim**-0.5))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        mixed = self.reshape(self.op("Transpose", mixed, perm=[0, 2, 1, 3]), batch, tokens, width)
        return self.linear(mixed, f"{key}.proj")

    def turned(self, x, rotary, shape):
        batch, heads, tokens, dim = shape
        cos, sin, first = rotary
        patches = cos.shape[1]
        image = self.reshape(self.slice(x, 2, first, first + patches), batch, heads, patches, dim // 2, 2)
        even, odd = (self.slice(image, 4, i, i + 1) for i in (0, 1))
        cos, sin = (self.constant(table[None, ..., None]) for table in (cos, sin))
        real = self.op("Sub", self.op("Mul", even, cos), self.op("Mul", odd, sin))
        imaginary = self.op("Add", self.op("Mul", even, sin), self.op("Mul", odd, cos))
        image = self.reshape(self.op("Concat", real, imaginary, axis=4), batch, heads, patches, dim)
        parts = [self.slice(x, 2, 0, first)] if first else []
        parts += [image]
        parts += [self.slice(x, 2, first + patches, tokens)] if first + patches < tokens else []
        return self.op("Concat", *parts, axis=2)

    def mlp(self, x, key, gelu):
        hidden = self.op("Gelu", self.linear(x, f"{key}.fc1"), approximate=gelu)
        return self.linear(hidden, f"{key}.fc2")

    def model(self, inputs, output):
        name, shape = output
        self.nodes[-1].output[0] = name
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(
            self.nodes, "maetok", [value(*one) for one in inputs], [value(name, shape)], self.constants
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def rotary_tables(freqs, block, heads, patches, first):
    """Cosines and sines [A, N, d/2] of a block from the frequencies [2, depth, A*d/2], and the first image token."""
    side = round(patches**0.5)
    column, row = np.arange(patches) % side, np.arange(patches) // side
    x, y = (freqs[axis, block].reshape(heads, 1, -1).astype(np.float64) for axis in (0, 1))
    angle = column[None, :, None] * x + row[None, :, None] * y
    return np.cos(angle), np.sin(angle), first


def vit_blocks(graph, x, side, shape, heads, patches, first, condition=None):
    """The blocks of encoder or decoder; with a condition (silu of the latents [B, L, C]) modulated by it."""
    weights, (batch, tokens, width) = graph.weights, shape
    depth = sum(key.startswith(f"{side}.model.blocks.") and key.endswith("attn.qkv.weight") for key in weights)
    for i in range(depth):
        key = f"{side}.model.blocks.{i}"
        freqs = weights.get(f"{side}.freqs")
        rotary = None if freqs is None else rotary_tables(freqs, i, heads, patches, first)
        if condition is not None:
            latents, silu = condition
            table = graph.linear(silu, f"{key}.adaLN_modulation.1")
        for j, (norm, scale) in enumerate((("norm1", "ls1"), ("norm2", "ls2"))):
            if condition is None:
                u = graph.norm(x, width, f"{key}.{norm}")
            else:
                u = graph.norm(x, width)
                shift, factor = (graph.slice(table, 2, (2 * j + n) * width, (2 * j + n + 1) * width) for n in (0, 1))
                modulated = graph.op("Add", graph.op("Mul", graph.slice(u, 1, tokens - latents, tokens), factor), shift)
                u = graph.op("Concat", graph.slice(u, 1, 0, tokens - latents), modulated, axis=1)
            branch = graph.attention(u, f"{key}.attn", shape, heads, rotary) if j == 0 else graph.mlp(u, f"{key}.mlp", "none")
            if condition is None:
                branch = graph.op("Mul", branch, graph.constant(weights[f"{key}.{scale}.gamma"]))
            x = graph.op("Add", x, branch)
    return x


def encoder(weights, image_size, heads, batch=1):
    graph = Graph(weights)
    proj = weights["encoder.model.patch_embed.proj.weight"]
    width, _, patch, _ = proj.shape
    patches = (image_size // patch) ** 2
    x = graph.op("Conv", "image", graph.constant(proj), graph.constant(weights["encoder.model.patch_embed.proj.bias"]),
                 kernel_shape=[patch, patch], strides=[patch, patch])
    x = graph.op("Transpose", graph.reshape(x, batch, width, patches), perm=[0, 2, 1])
    pos = weights["encoder.model.pos_embed"].astype(np.float32)
    cls = np.repeat(weights["encoder.model.cls_token"] + pos[:, :1], batch, 0)
    latents = weights["encoder.latent_tokens"].astype(np.float32) + weights["encoder.latent_pos_embed"]
    count = latents.shape[1]
    x = graph.op("Concat", graph.constant(cls), graph.op("Add", x, graph.constant(pos[:, 1:])),
                 graph.constant(np.repeat(latents, batch, 0)), axis=1)
    tokens = 1 + patches + count
    x = vit_blocks(graph, x, "encoder", (batch, tokens, width), heads, patches, 1)
    x = graph.slice(graph.norm(x, width, "encoder.model.norm"), 1, tokens - count, tokens)
    graph.linear(x, "quant_conv")
    channels = weights["quant_conv.weight"].shape[0]
    return graph.model([("image", [batch, 3, image_size, image_size])], ("z", [batch, count, channels]))


def decoder(weights, image_size, patch, heads, use_ape, batch=1):
    graph = Graph(weights)
    patches = (image_size // patch) ** 2
    _, count, width = weights["decoder.latent_pos_embed"].shape
    channels = weights["post_quant_conv.weight"].shape[1]
    image = np.repeat(weights["decoder.mask_token"], patches, 1)
    first = int("decoder.model.cls_token" in weights)
    if first:
        image = np.concatenate([weights["decoder.model.cls_token"], image], 1)
    if use_ape:  # official files have a table even where it is not used
        image = image + weights["decoder.model.pos_embed"]
    latents = graph.op("Add", graph.linear("z", "post_quant_conv"), graph.constant(weights["decoder.latent_pos_embed"]))
    x = graph.op("Concat", graph.constant(np.repeat(image, batch, 0)), latents, axis=1)
    tokens = first + patches + count
    movq = "decoder.model.blocks.0.adaLN_modulation.1.weight" in weights
    condition = (count, graph.op("Mul", "z", graph.op("Sigmoid", "z"))) if movq else None
    x = vit_blocks(graph, x, "decoder", (batch, tokens, width), heads, patches, first, condition)
    x = graph.norm(graph.slice(x, 1, first, first + patches), width, None if movq else "decoder.model.norm")
    side = image_size // patch
    x = graph.reshape(graph.linear(x, "decoder.to_pixel.model"), batch, side, side, patch, patch, 3)
    graph.reshape(graph.op("Transpose", x, perm=[0, 5, 1, 3, 2, 4]), batch, 3, image_size, image_size)
    return graph.model([("z", [batch, count, channels])], ("image", [batch, 3, image_size, image_size]))


def step(weights, heads, batch=2):
    """SiT's velocity of `batch` states x at times t of classes y (as floats, for one type of input)."""
    graph = Graph(weights)
    _, tokens, width = weights["pos_embed"].shape
    channels = weights["final_layer.linear.weight"].shape[0]
    frequencies = np.exp(-np.log(np.float32(10000.0)) * np.arange(128, dtype=np.float32) / np.float32(128))
    angle = graph.op("Mul", graph.reshape("t", batch, 1), graph.constant(frequencies[None]))
    sinusoid = graph.op("Concat", graph.op("Cos", angle), graph.op("Sin", angle), axis=1)
    silu = lambda x: graph.op("Mul", x, graph.op("Sigmoid", x))
    time = graph.linear(silu(graph.linear(sinusoid, "t_embedder.mlp.0")), "t_embedder.mlp.2")
    label = graph.op("Cast", "y", to=TensorProto.INT64)
    table = graph.constant(weights["y_embedder.embedding_table.weight"])
    condition = silu(graph.op("Add", time, graph.op("Gather", table, label, axis=0)))
    x = graph.op("Add", graph.linear("x", "x_embedder"), graph.constant(weights["pos_embed"]))

    def modulated(x, rows, i):
        shift, scale = (graph.reshape(graph.slice(rows, 1, (i + n) * width, (i + n + 1) * width), batch, 1, width) for n in (0, 1))
        one = graph.op("Add", scale, graph.constant(1.0))
        return graph.op("Add", graph.op("Mul", graph.norm(x, width), one), shift)

    depth = sum(key.endswith("attn.qkv.weight") for key in weights)
    qk_norm = "blocks.0.attn.q_norm.weight" in weights
    for i in range(depth):
        key = f"blocks.{i}"
        rows = graph.linear(condition, f"{key}.adaLN_modulation.1")
        for part in (0, 3):
            u = modulated(x, rows, part)
            shape = (batch, tokens, width)
            branch = graph.attention(u, f"{key}.attn", shape, heads, None, qk_norm) if part == 0 else graph.mlp(u, f"{key}.mlp", "tanh")
            gate = graph.reshape(graph.slice(rows, 1, (part + 2) * width, (part + 3) * width), batch, 1, width)
            x = graph.op("Add", x, graph.op("Mul", gate, branch))
    x = modulated(x, graph.linear(condition, "final_layer.adaLN_modulation.1"), 0)
    graph.linear(x, "final_layer.linear")
    shape = [batch, tokens, channels]
    return graph.model([("x", shape), ("t", [batch]), ("y", [batch])], ("v", shape))


def check(fixtures):
    """Compares with the numbers of the official code."""
    import onnxruntime

    def run(model, **inputs):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {name: value.astype(np.float32) for name, value in inputs.items()})[0]

    def compare(name, got, want):
        difference = np.abs(got - want).max()
        print(f"{name}: largest difference {difference:.2e}, largest value {np.abs(want).max():.2f}")
        return difference <= 2e-4 + 1e-3 * np.abs(want).max()

    weights, acts = (load_file(fixtures / f"tokenizer.{kind}.safetensors") for kind in ("weights", "acts"))
    good = [compare("encoder", run(encoder(weights, 64, heads=3, batch=2), image=acts["in.image"]), acts["z"])]
    good += [compare("decoder", run(decoder(weights, 64, 16, heads=2, use_ape=False, batch=2), z=acts["z"]), acts["recon"])]
    for name in ("sit", "sit_qknorm"):
        weights, acts = (load_file(fixtures / f"{name}.{kind}.safetensors") for kind in ("weights", "acts"))
        heads = json.loads((fixtures / "manifest.json").read_text())["files"][f"{name}.acts.safetensors"]["config"]["heads"]
        model = step(weights, heads, batch=len(acts["in.t"]))
        good += [compare(name, run(model, x=acts["in.x"], t=acts["in.t"], y=acts["in.y"]), acts["out"])]
    return all(good)


def export(folder, out):
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = lambda part: (json.loads((folder / part["config"]).read_text()), load_all(folder, part["weights"]))
    config, weights = entry(manifest["tokenizer"])
    heads = lambda side: config.get(f"{side}_size", {"heads": 12})["heads"]
    out.mkdir(parents=True, exist_ok=True)
    size = config["image_size"]
    onnx.save(encoder(weights, size, heads("encoder")), out / "encoder.onnx")
    onnx.save(decoder(weights, size, config["dec_patch_size"], heads("decoder"), config.get("use_ape", False)), out / "decoder.onnx")
    if manifest.get("generator"):
        config, weights = entry(manifest["generator"])
        onnx.save(step(weights, config["num_heads"]), out / "step.onnx")


def load_all(folder, shards):
    weights = {}
    for shard in shards:
        weights |= {key: value.astype(np.float32) for key, value in load_file(folder / shard).items()}
    return weights


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("paths", nargs="+", type=Path)
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(0 if check(arguments.paths[0]) else 1)
    export(*arguments.paths)
