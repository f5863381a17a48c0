"""Norms and attention here and in PyTorch, alternately in one run; prints Markdown with the ratios.

  build/torch/bin/python tools/bench/bench_ops_vs_pytorch.py [--alternations 7] [--threads 2]     (bench_vs_pytorch.sh makes that Python)

Each ratio is the median over the alternations of (PyTorch's time in its better layout / ours), with the least and the largest.
"""
import argparse, statistics, subprocess, time
import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--bench", default="build/bin/bench_ops")
parser.add_argument("--alternations", type=int, default=7)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()
torch.set_num_threads(args.threads)


def picture(channels, size, layout):
    return torch.randn(4, channels, size, size).contiguous(memory_format=layout).requires_grad_()


def norm(channels, size, layout):
    x, weight, bias = picture(channels, size, layout), torch.randn(channels, requires_grad=True), torch.randn(channels, requires_grad=True)
    return [x, weight, bias], lambda: F.group_norm(x, 32, weight, bias, 1e-5)


def rms(channels, size, layout):  # as lucidrains writes it
    x, gain = picture(channels, size, layout), torch.randn(1, channels, 1, 1, requires_grad=True)
    return [x, gain], lambda: F.normalize(x, dim=1) * gain * channels**0.5


def attend(queries, keys):
    q, k, v = (torch.randn(4, 4, n, 32, requires_grad=True) for n in (queries, keys, keys))
    return [q, k, v], lambda: F.scaled_dot_product_attention(q, k, v)


LAYOUTS = (torch.contiguous_format, torch.channels_last)
ROWS = {
    "group_norm, 4 x 64 x 64x64": [norm(64, 64, layout) for layout in LAYOUTS],
    "group_norm, 4 x 256 x 16x16": [norm(256, 16, layout) for layout in LAYOUTS],
    "rms_norm, 4 x 64 x 64x64": [rms(64, 64, layout) for layout in LAYOUTS],
    "attention, 4 heads, 256 tokens": [attend(256, 260)],
}


def median_ms(call, seconds=0.7):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def theirs(inputs, forward):
    cotangent = torch.randn_like(forward())
    with torch.no_grad():
        first = median_ms(forward)
    return first, median_ms(lambda: torch.autograd.grad(forward(), inputs, cotangent))


def ours(name):
    command = [args.bench, "--filter", name, "--threads", str(args.threads), "--repeats", "25"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    cells = next(line for line in lines if line.startswith(f"| {name}")).split("|")
    return float(cells[2]), float(cells[6]), lines[0]


machine = ours(next(iter(ROWS)))[2]
print(f"{machine}; PyTorch {torch.__version__}, {args.threads} threads, {args.alternations} alternations\n")
print("| op | forward: ratio | PyTorch ms | ours ms | forward + backward: ratio | PyTorch ms | ours ms |\n|---|---|---|---|---|---|---|")
for name, layouts in ROWS.items():
    found = []
    for _ in range(args.alternations):
        peers = [theirs(*layout) for layout in layouts]
        found.append([min(peer[way] for peer in peers) for way in (0, 1)] + list(ours(name)[:2]))
    cells = []
    for way in (0, 1):
        ratios = [one[way] / one[2 + way] for one in found]
        cells += [f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"]
        cells += [f"{statistics.median(one[at] for one in found):.2f}" for at in (way, 2 + way)]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
