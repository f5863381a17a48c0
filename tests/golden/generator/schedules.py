"""The tables of denoising-diffusion-pytorch's noise schedules, in float64."""
import torch
import torch.nn.functional as F

from .common import TOLERANCES, error, save
from .unet import conditional_unet


def tables(betas):
    alphas = 1 - betas
    bar = torch.cumprod(alphas, 0)
    before = F.pad(bar[:-1], (1, 0), value=1.0)
    variance = betas * (1 - before) / (1 - bar)
    return {
        "betas": betas, "alphas": alphas, "alphas_cumprod": bar, "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bar.sqrt(), "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(), "sqrt_recip_alphas_cumprod": (1 / bar).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bar - 1).sqrt(), "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bar),
        "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - bar), "snr": bar / (1 - bar),
    }


def exact_sigmoid_betas(T, start=-3, end=3):
    """The library takes its end points in float32: this is what it means."""
    t = torch.linspace(0, T, T + 1, dtype=torch.float64) / T
    low, high = (torch.tensor(float(v), dtype=torch.float64).sigmoid() for v in (start, end))
    bar = (high - (t * (end - start) + start).sigmoid()) / (high - low)
    bar = bar / bar[0]
    return torch.clip(1 - bar[1:] / bar[:-1], 0, 0.999)


def make():
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import (
        GaussianDiffusion, cosine_beta_schedule, linear_beta_schedule, sigmoid_beta_schedule)

    name, out = "schedules/schedules.safetensors", {}
    schedules = {"linear": linear_beta_schedule, "cosine": cosine_beta_schedule, "sigmoid": sigmoid_beta_schedule}
    for T in (50, 1000, 2000):
        for kind, betas in schedules.items():
            mine = tables(betas(T))
            out.update({f"{kind}_{T}/{k}": v for k, v in mine.items()})
            diffusion = GaussianDiffusion(conditional_unet(8, (1, 2)), image_size=16, timesteps=T, beta_schedule=kind,
                                          objective="pred_noise")
            for k, v in diffusion.named_buffers():  # the library's, which are float32
                if k in mine and not torch.equal(v, mine[k].float()):
                    raise SystemExit(f"{kind} {T}: {k} is not the library's")
            worst = max(error(v.float(), v)["rel"] for v in mine.values())
            TOLERANCES.setdefault(name, {})[f"{kind}_{T} float32 storage"] = {"rel": worst}
        out[f"sigmoid_exact_{T}/betas"] = exact_sigmoid_betas(T)
    save(name, out, "linear, cosine and sigmoid schedules of 50, 1000 and 2000 steps")
