"""What every section of the generator shares: where files go, seeds, float64 twins, weights by formula."""
import json
import os
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file

OUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/golden, unless --out says otherwise
MADE = {}  # file -> what made it, for manifest.json
TOLERANCES = {}  # file -> {key: measured float32 error}


def set_out(folder):
    global OUT
    OUT = os.path.abspath(folder)
    os.makedirs(OUT, exist_ok=True)


def path(name, made):
    """Where golden file `name` goes; `made` is its line in the manifest."""
    full = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    MADE[name] = made
    return full


def contiguous(tensor):
    return tensor.detach().clone().contiguous()


def save(name, tensors, made, metadata=None):
    text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in (metadata or {}).items()}
    save_file({k: contiguous(v) for k, v in tensors.items()}, path(name, made), metadata=text)


def save_json(name, value, made):
    with open(path(name, made), "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, ensure_ascii=False)
        stream.write("\n")


def error(single, double):
    """max |single - double|, and that over max |double| (or as it is where double is zero everywhere)."""
    a, b = single.double(), double.double()
    finite = torch.isfinite(b) & torch.isfinite(a)
    worst = (a - b)[finite].abs().max().item() if finite.any() else 0.0
    scale = b[finite].abs().max().item() if finite.any() else 1.0
    row = {"abs": float(f"{worst:.2e}"), "rel": float(f"{worst / scale if scale > 1e-6 else worst:.2e}")}
    lost = int((torch.isfinite(b) & ~torch.isfinite(a)).sum())
    if lost:
        row["fp32_nonfinite_where_fp64_finite"] = lost
    return row


def tolerance(name, key, single, double):
    TOLERANCES.setdefault(name, {})[key] = error(single, double)


class Float64:
    """with Float64(): tensors made without a dtype are float64."""

    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_):
        torch.set_default_dtype(torch.float32)


def seeded(seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def normal(seed, *shape):
    return torch.randn(*shape, generator=seeded(seed))


# ---- weights that C++ makes again: README.md, "Weights by formula"; tests/formula.cpp
def stream(seed, count):
    """`count` float32 in [-1, 1): splitmix64 from `seed`, the upper 24 bits of each number."""
    i = np.arange(1, count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy(((z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0).astype(np.float32))


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return value


def has_gain(name, like):
    return like.dim() > 1 and not name.endswith(("mem_kv", ".g"))


def formula_tensor(name, like):
    if not like.is_floating_point():
        return torch.full_like(like, fnv1a(name) % 1000)
    u = stream(fnv1a(name), like.numel()).reshape(like.shape)
    if name.endswith("mem_kv"):
        return u * np.float32(np.sqrt(3.0))
    if name.endswith(".g"):
        return 1 + np.float32(0.25) * u
    if like.dim() > 1:
        return u * np.float32(np.sqrt(3.0 / (like.numel() // like.shape[0])))
    if name.endswith("running_var"):
        return 1 + np.float32(0.5) * u
    if name.endswith("weight"):
        return 1 + np.float32(0.25) * u
    return np.float32(0.1) * u


def formula_weights(state, gain=1.0):
    return OrderedDict((name, formula_tensor(name, tensor) * (gain if has_gain(name, tensor) else 1))
                       for name, tensor in state.items())


def load_formula(module, gain=1.0):
    """Gives the module the formula's weights, in place; returns them. `gain` multiplies matrices and filters."""
    weights = formula_weights(module.state_dict(), gain)
    module.load_state_dict(weights)
    return weights


def save_keys(name, state, made, gain=1.0):
    """The names, shapes and types of a state dict, in its order, and the formula's gain where it isn't 1."""
    rows = [{"name": k, "shape": list(v.shape), "dtype": str(v.dtype)[6:], **({"gain": gain} if gain != 1 and has_gain(k, v) else {})}
            for k, v in state.items()]
    with open(path(name, made), "w", encoding="utf-8") as stream_out:
        stream_out.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def masks(count, size):
    """Three one-hot channels of 0 and 1: an ellipse, a disc in it, and what is left of a sector."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    planes = torch.zeros(count, 3, size, size)
    for i in range(count):
        centre = size / 2 + i
        ellipse = ((column - centre) / (size * 0.3)) ** 2 + ((row - size * 0.55) / (size * 0.25)) ** 2 < 1
        disc = (column - centre + 1) ** 2 + (row - size * 0.5) ** 2 < (size * 0.08 + 1) ** 2
        sector = (column - size / 2).abs() < (row + 2) * 0.6
        planes[i, 0], planes[i, 1], planes[i, 2] = ellipse.float(), disc.float(), sector.float()
    planes[:, 2] *= 1 - planes[:, 0]
    planes[:, 0] *= 1 - planes[:, 1]
    planes[:, 2] *= 1 - planes[:, 1]
    return planes


def quadratic_pass(network, x, t, target, gradients):
    """y, the mean squared error to `target`, its gradients by x and by the parameters named in `gradients`."""
    network.zero_grad(set_to_none=True)
    x = x.clone().requires_grad_()
    y = network(x, t)
    loss = torch.nn.functional.mse_loss(y, target)
    loss.backward()
    parameters = dict(network.named_parameters())
    found = OrderedDict(y=y, loss=loss, grad_input=x.grad)
    found.update({"grad." + k: parameters[k].grad for k in gradients})
    return {k: v.detach().clone() for k, v in found.items()}


def both_precisions(name, case, network, double_network, x, t, target, gradients):
    """quadratic_pass in float32, with y and loss from float64 too, and the errors of all of them as tolerances."""
    single = quadratic_pass(network, x, t, target, gradients)
    with Float64():
        double = quadratic_pass(double_network, x.double(), t, target.double(), gradients)
    for key in single:
        tolerance(name, case + key, single[key], double[key])
    out = {case + "x": x, case + "t": t, case + "target": target}
    out.update({case + k: v for k, v in single.items()})
    out.update({case + k + "_f64": double[k] for k in ("y", "loss")})
    return out
