"""Twelve steps of lucidrains' Trainer (GaussianDiffusion, Adam, EMA, accelerate) from the formula's weights."""
import torch

from .common import Float64, formula_weights, load_formula, masks, normal, path, save, save_keys, seeded, tolerance
from .unet import conditional_unet

STEPS, BATCH, SIZE, MULTS = 12, 4, 16, (1, 2)
GAIN = 0.5  # with 1, Adam's division makes much of rounding
KEPT = ["init_conv.weight", "final_conv.weight", "mid_attn.to_qkv.weight", "downs.0.0.block1.norm.g",
        "downs.0.0.block1.proj.weight"]


def diffusion_of(network):
    from denoising_diffusion_pytorch import GaussianDiffusion

    return GaussianDiffusion(network, image_size=SIZE, timesteps=1000, objective="pred_noise", beta_schedule="linear")


def steps_in_double(images, times, noise):
    with Float64():
        network = conditional_unet(8, MULTS)
        network.load_state_dict(formula_weights(conditional_state(), GAIN))
        diffusion = diffusion_of(network).double()
        network.condition = masks(BATCH, SIZE).double()
        optimiser, losses, norms = torch.optim.Adam(diffusion.parameters(), lr=1e-3, betas=(0.9, 0.99)), [], []
        for step in range(STEPS):
            loss = diffusion(images[step].double(), times=times[step], noise=noise[step].double())
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0))
            optimiser.step()
            optimiser.zero_grad()
            losses.append(loss.detach())
    return torch.stack(losses), torch.stack(norms), network.state_dict()


def conditional_state():
    return {k: v.float() for k, v in conditional_unet(8, MULTS).state_dict().items()}


def make():
    from accelerate import Accelerator
    from denoising_diffusion_pytorch.version import __version__
    from ema_pytorch import EMA

    network = conditional_unet(8, MULTS)
    save_keys("trainer/keys.json", load_formula(network, GAIN), "names of Unet(8, dim_mults=(1, 2)), 2.x", GAIN)
    diffusion, accelerator = diffusion_of(network), Accelerator(cpu=True, mixed_precision="no")
    optimiser = torch.optim.Adam(diffusion.parameters(), lr=1e-3, betas=(0.9, 0.99))
    ema = EMA(diffusion, beta=0.995, update_every=10, update_after_step=100)
    diffusion, optimiser = accelerator.prepare(diffusion, optimiser)
    bare, condition = accelerator.unwrap_model(diffusion), masks(BATCH, SIZE)
    bare.model.condition = ema.ema_model.model.condition = condition
    images = torch.rand(STEPS, BATCH, 1, SIZE, SIZE, generator=seeded(41))
    noise, times = normal(42, STEPS, BATCH, 1, SIZE, SIZE), torch.randint(0, 1000, (STEPS, BATCH), generator=seeded(43))
    losses, norms = [], []
    for step in range(STEPS):
        loss = diffusion(images[step], times=times[step], noise=noise[step])
        accelerator.backward(loss)
        norms.append(accelerator.clip_grad_norm_(diffusion.parameters(), 1.0))
        optimiser.step()
        optimiser.zero_grad()
        ema.update()
        losses.append(loss.detach())
    bare.model.condition = ema.ema_model.model.condition = None  # no part of the checkpoint
    torch.save({"step": STEPS, "model": accelerator.get_state_dict(diffusion), "opt": optimiser.state_dict(),
                "ema": ema.state_dict(), "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
                "version": __version__},
               path("trainer/model-1.pt", "what the Trainer saves after twelve steps: model, Adam, EMA"))
    bare.model.condition = ema.ema_model.model.condition = condition

    losses_f64, norms_f64, double = steps_in_double(images, times, noise)
    name = "trainer/replay.safetensors"
    tolerance(name, "losses", torch.stack(losses), losses_f64)
    tolerance(name, "grad_norms", torch.stack(norms), norms_f64)
    save(name, {"x_0": images * 2 - 1, "cond": condition.expand(STEPS, -1, -1, -1, -1), "t": times, "noise": noise,
                "losses": torch.stack(losses), "losses_f64": losses_f64, "grad_norms": torch.stack(norms),
                "grad_norms_f64": norms_f64},
         "the twelve batches in the format of dtrain --replay, their losses and gradient norms before clipping",
         {"timesteps": "1000", "schedule": "linear", "predict": "eps", "lr": "1e-3", "warmup": "0", "betas": "0.9,0.99",
          "eps": "1e-8", "clip": "1.0"})
    name, x, t = "trainer/io.safetensors", normal(44, BATCH, 1, SIZE, SIZE), torch.tensor([0, 10, 500, 999])
    with torch.no_grad():
        out = {"eval_x": x, "eval_t": t, "cond": condition, "eval_y_model": bare.model(x, t),
               "eval_y_ema": ema.ema_model.model(x, t)}
    for key in KEPT:
        out["final/" + key], out["final_ema/" + key] = (m.state_dict()["model." + key] for m in (bare, ema.ema_model))
        tolerance(name, "final/" + key, out["final/" + key], double[key])
    save(name, out, "some weights after twelve steps, and what the network and its average answer")
