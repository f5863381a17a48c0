"""Train step and denoise of the lucidrains U-Net in PyTorch on a GPU: bf16, channels last, eager and compiled.

  gpu_bench.py SIZE DIM BATCH MULT...      prints "mode train_ms denoise_ms" lines
Called by gpu_check.sh. Each time is the median of 20 after 10 that don't count.
"""
import statistics
import sys

import torch
from denoising_diffusion_pytorch import Unet

size, dim, batch, *mults = map(int, sys.argv[1:])


def milliseconds(run):
    for _ in range(10):
        run()
    times = []
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


for mode in ("eager", "compile"):
    torch.manual_seed(0)
    network = Unet(dim, dim_mults=tuple(mults), channels=4, out_dim=1).cuda().to(memory_format=torch.channels_last)
    call = torch.compile(network) if mode == "compile" else network
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    x = torch.randn(batch, 4, size, size, device="cuda").to(memory_format=torch.channels_last)
    t = torch.randint(0, 1000, (batch,), device="cuda")
    target = torch.randn(batch, 1, size, size, device="cuda")

    def train():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.mse_loss(call(x, t).float(), target)
        loss.backward()
        optimizer.step()

    def denoise():
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
            call(x, t)

    print(mode, f"{milliseconds(train):.2f}", f"{milliseconds(denoise):.2f}", flush=True)
