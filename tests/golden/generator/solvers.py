"""diffusers' multistep solvers on grids of their own and on ours: each step from recorded states and answers, no network."""
import torch

from .common import save, seeded

COUNT, SIZE = 2, 4
# case: schedule, T, calls, times (a grid of ours, or None for diffusers' own spacing)
CASES = {
    "even8": ("linear", 50, 8, None),
    "even20": ("cosine", 2000, 20, None),
    "logsnr5": ("cosine", 2000, 5, "logsnr"),
    "logsnr12": ("linear", 1000, 12, "logsnr"),
    "rho6": ("cosine", 2000, 6, "rho"),
    "two": ("cosine", 1000, 2, "logsnr"),
    "one": ("linear", 1000, 1, "logsnr"),
}


def betas_of(schedule, T):
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as ddp

    return {"linear": ddp.linear_beta_schedule, "cosine": ddp.cosine_beta_schedule}[schedule](T).double()


def grid(kind, alphas, calls, start=0.95, end=0.04):
    """Times whose log(sigma / alpha), or its 7th root's, are evenly spaced; the nearest of all T."""
    noise = ((1 - alphas) / alphas).sqrt()
    measure = noise.log() if kind == "logsnr" else noise ** (1 / 7)
    T = len(alphas)
    first, last = measure[round(start * T)], measure[round(end * T)]
    shares = torch.linspace(0, 1, calls, dtype=torch.float64)
    return [int((measure - (first + share * (last - first))).abs().argmin()) for share in shares]


def run(solver, alphas, calls, times, seed):
    solver.set_timesteps(calls)
    if times is not None:
        solver.timesteps = torch.tensor(times)
        solver.sigmas = torch.cat([((1 - alphas) / alphas).sqrt()[times], torch.zeros(1)]).float()
    generator = seeded(seed)
    x = torch.randn(COUNT, 1, SIZE, SIZE, generator=generator)
    states, answers = [x.clone()], []
    for t in solver.timesteps:
        alpha, sigma = alphas[int(t)].sqrt(), (1 - alphas[int(t)]).sqrt()
        x_0 = torch.rand(x.shape, generator=generator) * 1.6 - 0.8  # an answer that says another picture at each step
        answers.append(((x.double() - alpha * x_0) / sigma).float())
        x = solver.step(answers[-1], t, x).prev_sample
        states.append(x.clone())
    return {"times": solver.timesteps.long(), "x": torch.stack(states), "eps": torch.stack(answers)}


def make():
    from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

    common = dict(solver_order=2, lower_order_final=True, final_sigmas_type="zero", timestep_spacing="linspace",
                  prediction_type="epsilon", thresholding=False)
    for name, solver, options in (
        ("dpmpp", DPMSolverMultistepScheduler, dict(algorithm_type="dpmsolver++", solver_type="midpoint")),
        ("unipc", UniPCMultistepScheduler, dict(solver_type="bh2", predict_x0=True)),
    ):
        tensors = {}
        for i, (case, (schedule, T, calls, kind)) in enumerate(CASES.items()):
            betas = betas_of(schedule, T)
            alphas = torch.cumprod(1 - betas, dim=0)
            times = grid(kind, alphas, calls) if kind else None
            made = run(solver(num_train_timesteps=T, trained_betas=betas.numpy(), **common, **options), alphas, calls, times, 80 + i)
            tensors.update({f"{case}/{key}": value for key, value in made.items()})
        save(f"solvers/{name}.safetensors", tensors, f"{solver.__name__} of diffusers, order 2, on its own spacing and on grids even in log-SNR and of rho 7")
