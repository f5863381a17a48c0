"""Optimisers of torch.optim step by step, gradient clipping, and the moving average of ema-pytorch; ops/index.json."""
import torch

from . import ops
from .common import normal, save, save_json, seeded, tolerance

SCALES = [1, 1, 0.1, 10, 1e-4, 0, 1, 1e-12, 1, 100, 1, 1]  # of the gradients of the twelve steps


def run(kind, options, start, gradients, dtype):
    """The parameters after each step, and the optimiser's state at the end."""
    parameters = [p.clone().to(dtype).requires_grad_() for p in start]
    optimiser, after = kind(parameters, **options), [[] for _ in parameters]
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.clone().to(dtype)
        optimiser.step()
        for history, parameter in zip(after, parameters):
            history.append(parameter.detach().clone())
    state = {f"state_{k}/{i}": v.float() for i, p in enumerate(parameters)
             for k, v in optimiser.state[p].items() if torch.is_tensor(v)}
    settings = {k: list(v) if isinstance(v, tuple) else v for k, v in optimiser.defaults.items()
                if isinstance(v, (int, float, bool, tuple))}
    return [torch.stack(history) for history in after], state, settings


def optimisers():
    name, generator = "ops/optimizers.safetensors", seeded(90)
    start = [torch.randn(5, 3, generator=generator), torch.randn(7, generator=generator)]
    gradients = [[torch.randn(p.shape, generator=generator) * scale for p in start] for scale in SCALES]
    out, parameters = {}, {}
    for i in (0, 1):
        out[f"p0/{i}"], out[f"grads/{i}"] = start[i], torch.stack([step[i] for step in gradients])
    Adam, AdamW, SGD = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD
    rows = {
        "adam": (Adam, dict(lr=1e-2)),
        "adam_b099": (Adam, dict(lr=1e-3, betas=(0.9, 0.99))),
        "adam_l2": (Adam, dict(lr=1e-2, weight_decay=0.1)),
        "adam_amsgrad": (Adam, dict(lr=1e-2, amsgrad=True)),
        "adam_eps": (Adam, dict(lr=1e-2, eps=1e-3)),
        "adamw": (AdamW, dict(lr=1e-2, weight_decay=0.1)),
        "adamw_default": (AdamW, dict()),
        "sgd": (SGD, dict(lr=1e-2)),
        "sgd_mom": (SGD, dict(lr=1e-2, momentum=0.9, weight_decay=1e-3)),
        "sgd_nesterov": (SGD, dict(lr=1e-2, momentum=0.9, nesterov=True)),
    }
    for case, (kind, options) in rows.items():
        single, state, parameters[case] = run(kind, options, start, gradients, torch.float32)
        double = run(kind, options, start, gradients, torch.float64)[0]
        out.update({f"{case}/{k}": v for k, v in state.items()})
        for i in (0, 1):
            out[f"{case}/p_after_each_step/{i}"] = single[i]
            out[f"{case}/p_after_each_step_f64/{i}"] = double[i]
            tolerance(name, f"{case}/{i}", single[i], double[i])
    for case, limit in (("clip_1.0", 1.0), ("clip_1000", 1000.0)):  # by limit / (norm + 1e-6), at most 1
        clipped = [p.clone().requires_grad_() for p in start]
        for parameter, gradient in zip(clipped, gradients[0]):
            parameter.grad = gradient.clone()
        out[f"{case}/norm"] = torch.nn.utils.clip_grad_norm_(clipped, limit)
        for i in (0, 1):
            out[f"{case}/g/{i}"] = clipped[i].grad
        parameters[case] = {"max_norm": limit}
    save(name, out, "torch.optim, twelve steps; torch.nn.utils.clip_grad_norm_", {"cases": parameters})
    ops.INDEX["optimizers"] = parameters


def moving_averages():
    from ema_pytorch import EMA

    steps = 40
    online = normal(91, steps, 6).cumsum(0) * 0.1
    out = {"online": online}
    rows = {
        "trainer": dict(beta=0.995, update_every=10),
        "every1_after0": dict(beta=0.995, update_every=1, update_after_step=0),
        "every2_after5": dict(beta=0.9, update_every=2, update_after_step=5),
        "power075": dict(beta=0.9999, update_every=1, update_after_step=3, power=0.75, inv_gamma=2.0, min_value=0.1),
    }
    for case, options in rows.items():
        layer = torch.nn.Linear(6, 1, bias=False)
        ema, averaged, decays = EMA(layer, **options), [], []
        for step in range(steps):
            layer.weight.data.copy_(online[step : step + 1])
            ema.update()
            averaged.append(ema.ema_model.weight.detach().clone()[0])
            decays.append(float(ema.get_current_decay()))
        out[f"{case}/ema"] = torch.stack(averaged)
        out[f"{case}/decay_after"] = torch.tensor(decays, dtype=torch.float64)
    save("ops/ema.safetensors", out, "ema-pytorch, forty steps", {"cases": rows})
    ops.INDEX["ema"] = rows


def make():
    optimisers()
    moving_averages()
    save_json("ops/index.json", ops.INDEX, "the parameters of every case of ops/")
