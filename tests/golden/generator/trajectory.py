"""Whole trajectories of every sampler with a small trained network: denoising-diffusion-pytorch, and diffusers' solver."""
import copy

import torch

from .common import Float64, masks, normal, path, save, seeded, tolerance
from .unet import conditional_unet

T, COUNT, SIZE = 50, 2, 8
# name: schedule, objective, steps (None: all T), eta
SAMPLERS = {
    "ddpm_linear": ("linear", "pred_noise", None, 0.0),
    "ddpm_cosine": ("cosine", "pred_noise", None, 0.0),
    "ddpm_sigmoid_v": ("sigmoid", "pred_v", None, 0.0),  # the answer is read as v: arithmetic, not samples
    "ddpm_linear_noclip": ("linear", "pred_noise", None, 0.0),
    "ddim10_eta0": ("linear", "pred_noise", 10, 0.0),
    "ddim49_cosine_eta1": ("cosine", "pred_noise", 49, 1.0),
}


def diffusion_of(network, **options):
    from denoising_diffusion_pytorch import GaussianDiffusion

    return GaussianDiffusion(network, image_size=SIZE, timesteps=T, auto_normalize=False, **options)


def trained():
    """400 steps on mask-shaped pictures in [-0.8, 0.8], so that x_0's estimate is not clamped everywhere."""
    torch.manual_seed(70)
    network = conditional_unet(8, (1, 2))
    diffusion = diffusion_of(network, objective="pred_noise", beta_schedule="linear")
    optimiser, generator = torch.optim.Adam(network.parameters(), lr=2e-3), seeded(74)
    all_masks, slope = masks(8, SIZE), torch.linspace(-0.3, 0.3, SIZE)[None, None, :, None]
    for _ in range(400):
        network.condition = all_masks[torch.randint(0, 8, (16,), generator=generator)]
        liver, vein, rest = network.condition.split(1, dim=1)
        offset = 0.1 * torch.randn(16, 1, 1, 1, generator=generator)
        x_0 = (-0.5 + 0.6 * liver + 1.1 * vein + 0.3 * rest + slope + offset).clamp(-0.8, 0.8)
        t = torch.randint(0, T, (16,), generator=generator)
        loss = diffusion.p_losses(x_0, t, torch.randn(x_0.shape, generator=generator))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def walk(name, network, condition, x_T, noise, dtype):
    """The library's own sampling loop, given its noise: x after every step, eps and x_0's estimate of every step."""
    schedule, objective, steps, eta = SAMPLERS[name]
    clip, drawn, eps, x_start = not name.endswith("noclip"), iter(noise.to(dtype)), [], []
    own = copy.deepcopy(network)
    diffusion = diffusion_of(own, sampling_timesteps=steps, objective=objective, beta_schedule=schedule,
                             ddim_sampling_eta=eta).eval().to(dtype)
    own.condition = condition.to(dtype)
    predictions, mean_variance = diffusion.model_predictions, diffusion.p_mean_variance

    def recorded(*arguments, **options):
        answer = predictions(*arguments, **options)
        eps.append(answer.pred_noise.clone())
        x_start.append(answer.pred_x_start.clamp(-1, 1) if clip else answer.pred_x_start.clone())
        return answer

    diffusion.model_predictions = recorded
    if not clip:
        diffusion.p_mean_variance = lambda *a, **k: mean_variance(*a, **{**k, "clip_denoised": False})
    originals = torch.randn_like, torch.randn
    torch.randn_like, torch.randn = lambda _x: next(drawn).clone(), lambda *_a, **_k: x_T.to(dtype).clone()
    try:
        states = diffusion.sample(batch_size=COUNT, return_all_timesteps=True)
    finally:
        torch.randn_like, torch.randn = originals
    return states.transpose(0, 1).clone(), torch.stack(eps), torch.stack(x_start)


def lucidrains(network, condition, x_T, noise):
    import denoising_diffusion_pytorch.denoising_diffusion_pytorch as library

    library.tqdm = lambda iterable, **_: iterable
    for short, (schedule, objective, steps, eta) in SAMPLERS.items():
        x, eps, x_start = walk(short, network, condition, x_T, noise, torch.float32)
        with Float64():
            x_double, eps_double, _ = walk(short, network, condition, x_T, noise, torch.float64)
        out, name = {"x": x, "pred_noise": eps, "x_start": x_start, "x_f64": x_double}, f"trajectory/{short}.safetensors"
        if steps:
            out["times"] = torch.linspace(-1, T - 1, steps=steps + 1).int().flip(0).long()
        tolerance(name, "x, worst step", x, x_double)
        tolerance(name, "pred_noise", eps, eps_double)
        save(name, out, "GaussianDiffusion.sample, step by step",
             {"schedule": schedule, "objective": objective, "T": T, "sampling_timesteps": steps or T, "eta": eta})


def dpm_solver(network, condition, x_T):
    """DPM-Solver++(2M) of diffusers, 20 of 50 steps, without clipping."""
    from diffusers import DPMSolverMultistepScheduler

    betas = diffusion_of(network, objective="pred_noise", beta_schedule="linear").betas
    solver = DPMSolverMultistepScheduler(
        num_train_timesteps=T, trained_betas=betas.numpy(), algorithm_type="dpmsolver++", solver_order=2,
        solver_type="midpoint", lower_order_final=True, final_sigmas_type="zero", timestep_spacing="linspace",
        prediction_type="epsilon", thresholding=False)
    solver.set_timesteps(20)
    x, states, eps = x_T.clone(), [x_T.clone()], []
    network.condition = condition
    for t in solver.timesteps:
        eps.append(network(x, torch.full((COUNT,), int(t))))
        x = solver.step(eps[-1], t, x).prev_sample
        states.append(x.clone())
    save("trajectory/dpmpp2m_20.safetensors",
         {"times": solver.timesteps.long(), "sigmas": solver.sigmas.float(), "x": torch.stack(states), "pred_noise": torch.stack(eps)},
         "DPMSolverMultistepScheduler of diffusers: 20 of 50 steps, midpoint, last sigma 0, linspace, no clipping",
         {"schedule": "linear", "T": T, "sampling_timesteps": 20})


def forward_process(network, condition, noise):
    diffusion = diffusion_of(network, objective="pred_noise", beta_schedule="linear")
    t, x_0 = torch.tensor([0, T - 1]), torch.rand(COUNT, 1, SIZE, SIZE, generator=seeded(73)) * 2 - 1
    network.condition = condition
    save("trajectory/forward_process.safetensors",
         {"x0": x_0, "t": t, "noise": noise, "x_t": diffusion.q_sample(x_0, t, noise), "v": diffusion.predict_v(x_0, t, noise),
          "loss": diffusion.p_losses(x_0, t, noise)}, "q_sample, predict_v and p_losses of GaussianDiffusion")


def make():
    network = trained()
    torch.save(network.state_dict(), path("trajectory/tiny_unet_d8.pt", "Unet(8, dim_mults=(1, 2)) after 400 steps of training"))
    condition, noise, x_T = masks(COUNT, SIZE), normal(71, T, COUNT, 1, SIZE, SIZE), normal(72, COUNT, 1, SIZE, SIZE)
    save("trajectory/inputs.safetensors", {"cond": condition, "x_T": x_T, "noise": noise},
         "what every trajectory starts from; noise[i] is of the i-th reverse step")
    with torch.no_grad():
        lucidrains(network, condition, x_T, noise)
        dpm_solver(network, condition, x_T)
        forward_process(network, condition, noise[0])
