"""Gradients by PyTorch's autograd, for tests/it/cli/torch.rs to compare with.

usage: python autograd.py FOLDER

Writes for every case NAME: FOLDER/NAME.net.safetensors (the state dict of an nn.Sequential), FOLDER/NAME.batch.safetensors (x, y),
FOLDER/NAME.grad.safetensors (.grad of every parameter, and the loss), and FOLDER/cases.json, which says how Asynapse is to be
configured. The loss is averaged over the batch: cross-entropy, or half the squared distance summed over the outputs.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
}
WIDTHS = [11, 9, 7, 5]
BATCH = 13


def network(activation, output, dtype):
    modules = []
    for index, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        modules.append(nn.Linear(inputs, outputs))
        last = index == len(WIDTHS) - 2
        modules.append(ACTIVATIONS[output if last else activation]())
    return nn.Sequential(*modules).to(dtype)


def case(folder, activation, loss, output, targets, dtype):
    net = network(activation, output, dtype)
    x = torch.randn(BATCH, WIDTHS[0], dtype=dtype)
    if targets == "classes":
        y = torch.randint(WIDTHS[-1], (BATCH,))
    elif targets == "shares":
        y = torch.softmax(torch.randn(BATCH, WIDTHS[-1], dtype=dtype), dim=1)
    else:
        y = torch.randn(BATCH, WIDTHS[-1], dtype=dtype)
    out = net(x)
    if loss == "cross-entropy":
        value = functional.cross_entropy(out, y)
    else:
        value = 0.5 * ((y - out) ** 2).sum(dim=1).mean()
    value.backward()
    short = {torch.float32: "f32", torch.float64: "f64"}[dtype]
    name = f"{activation}_{loss}_{output}_{targets}_{short}"
    save_file(net.state_dict(), folder / f"{name}.net.safetensors")
    save_file({"x": x, "y": y}, folder / f"{name}.batch.safetensors")
    grads = {key: parameter.grad for key, parameter in net.named_parameters()}
    save_file(grads | {"loss": value.detach().reshape(1)}, folder / f"{name}.grad.safetensors")
    settings = [f"model.act_fn={activation}", f"model.loss={loss}", f"model.output_act_fn={output}", f"dtype={short}"]
    return {"name": name, "dtype": short, "settings": settings}


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    cases = []
    for dtype in (torch.float32, torch.float64):
        for activation in ACTIVATIONS:
            cases.append(case(folder, activation, "cross-entropy", "identity", "classes", dtype))
            cases.append(case(folder, activation, "squared-error", "identity", "numbers", dtype))
        cases.append(case(folder, "tanh", "cross-entropy", "identity", "shares", dtype))
        for output in ("tanh", "sigmoid", "softplus"):
            cases.append(case(folder, "gelu", "squared-error", output, "numbers", dtype))
    (folder / "cases.json").write_text(json.dumps({"torch": torch.__version__, "cases": cases}))


main()
