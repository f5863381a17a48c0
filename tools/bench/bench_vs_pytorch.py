"""Runs PyTorch's programs and bench_models alternately and prints the ratios. Called by bench_vs_pytorch.sh."""
import argparse, json, os, statistics, subprocess, sys

UNET64 = dict(name="U-Net 64x64, dim 64, mults 1,2,4", torch=["bench_unet.py", "--size", "64", "--dim", "64", "--mults", "1", "2", "4"],
              ours=["--size", "64", "--dim", "64", "--mults", "1,2,4"], forward=[1, 4], train=8)
UNET128 = dict(name="U-Net 128x128, dim 64, mults 1,2,4,8", torch=["bench_unet.py", "--size", "128", "--dim", "64", "--mults", "1", "2", "4", "8"],
               ours=["--size", "128", "--dim", "64", "--mults", "1,2,4,8"], forward=[4], train=2)
RESNET = dict(name="ResNet-18 224x224", torch=["bench_resnet18.py", "--sizes", "224"], ours=["--net", "resnet18", "--size", "224", "--dim", "64"],
              forward=[1, 16], train=16)


def json_lines(command, env=None):
    done = subprocess.run(command, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def torch_times(args, work, modes, forward, train, budget):
    """{(what, batch): {mode: ms}}"""
    command = [sys.executable, os.path.join(args.programs, work["torch"][0]), *work["torch"][1:], "--modes", *modes, "--threads", str(args.threads),
               "--budget", str(budget), "--min-reps", "3", "--fwd", *map(str, forward), "--train", *map(str, train)]
    times = {}
    for row in json_lines(command, {"BENCH_PATIENCE": "5", "PYTHONDONTWRITEBYTECODE": "1"}):
        if "ms" in row:
            times.setdefault((row["what"], row["batch"]), {})[row["mode"]] = row["ms"]
    return times


def our_times(args, work, forward, train, threads=None, extra=()):
    command = [args.bench, *work["ours"], "--json", "--repeats", "7", "--threads", str(threads or args.threads), *extra]
    command += ["--forward-batch", str(max(forward))]
    command += ["--train-batch", str(train)] if train else ["--forward-only"]
    return {(row["what"], row["batch"]): row["ms"] for row in json_lines(command) if "batch" in row}


MEMORY = """
import re, sys, torch
from denoising_diffusion_pytorch import Unet
torch.set_num_threads(int(sys.argv[2])); torch.manual_seed(0)
def status(key): return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024
train = sys.argv[1] == "train"; batch = 8 if train else 4
net = Unet(64, dim_mults=(1, 2, 4), channels=4, out_dim=1).to(memory_format=torch.channels_last)
net.train(train)
x = torch.randn(batch, 4, 64, 64).contiguous(memory_format=torch.channels_last); t = torch.zeros(batch, dtype=torch.long)
adam = torch.optim.Adam(net.parameters(), lr=1e-4)
open("/proc/self/clear_refs", "w").write("5"); before = status("VmRSS")
for _ in range(3):
    if train:
        adam.zero_grad(set_to_none=True); net(x, t).square().mean().backward(); adam.step()
    else:
        with torch.no_grad(): net(x, t)
print('{"mib": %.1f}' % (status("VmHWM") - before))
"""


def median_range(values):
    low, high = min(values), max(values)
    return f"{statistics.median(values):.2f} ({low:.2f}-{high:.2f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--alternations", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--forward-only", action="store_true", help="the forward passes' ratios and nothing else")
    parser.add_argument("--networks", nargs="+", choices=["unet64", "unet128", "resnet18"], default=["unet64", "unet128", "resnet18"])
    parser.add_argument("--avx2", action="store_true", help="both sides without AVX-512")
    parser.add_argument("--out")
    args = parser.parse_args()
    if args.avx2:
        os.environ.update(ECHODIFF_ISA="avx2", ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2")
    lines = []

    def say(text=""):
        lines.append(text)
        print(text, flush=True)

    machine = json_lines([args.bench, "--size", "8", "--dim", "8", "--mults", "1", "--json", "--forward-only", "--threads", str(args.threads)])[0]
    import torch
    say(f"# CPU: echodiff beside PyTorch {torch.__version__}")
    say()
    say(f"`tools/bench/bench_vs_pytorch.sh --alternations {args.alternations}` on {machine['machine']}, peak {machine['peak_gflops']:.0f} GFLOP/s. Each row: the median over")
    say("the alternations of (PyTorch's time in its best layout / ours), with the least and the largest; the times are medians.")
    say()
    say("| work | ratio to fp32 | PyTorch ms (layout) | ours ms |")
    say("|---|---|---|---|")
    for work in [{"unet64": UNET64, "unet128": UNET128, "resnet18": RESNET}[name] for name in args.networks]:
        train = [] if args.forward_only else [work["train"]]
        rows = {}
        for _ in range(args.alternations):
            theirs = torch_times(args, work, ["fp32", "fp32_cl"], work["forward"], train, 1.0)
            ours = our_times(args, work, work["forward"], work["train"] if train else 0)
            for key, by_mode in theirs.items():
                mode = min(by_mode, key=by_mode.get)
                rows.setdefault(key, []).append((by_mode[mode], mode, ours[key]))
        for (what, batch), found in rows.items():
            ratios = [their / our for their, _, our in found]
            layouts = "/".join(sorted({mode for _, mode, _ in found}))
            say(f"| {work['name']}: {what.replace('_', ' ')}, batch {batch} | {median_range(ratios)} | {statistics.median(f[0] for f in found):.1f} ({layouts}) "
                f"| {statistics.median(f[2] for f in found):.1f} |")
    if not args.forward_only:
        measure_the_rest(args, say)
    if args.out:
        with open(args.out, "w") as file:
            file.write("\n".join(lines) + "\n")


# bf16, memory, scaling with threads and with pixels.
def measure_the_rest(args, say):
    say()
    say("PyTorch with bf16 autocast, channels last, once each (this machine's PyTorch has no fast bf16 where the ratio is far above the one to fp32):")
    say()
    say("| work | ratio to bf16 | PyTorch ms | ours ms |")
    say("|---|---|---|---|")
    for work in (UNET64, UNET128, RESNET):
        ours = our_times(args, work, work["forward"], work["train"])
        for (what, batch), by_mode in torch_times(args, work, ["bf16_cl"], work["forward"], [work["train"]], 1.0).items():
            say(f"| {work['name']}: {what.replace('_', ' ')}, batch {batch} | {by_mode['bf16_cl'] / ours[(what, batch)]:.2f} | {by_mode['bf16_cl']:.1f} | {ours[(what, batch)]:.1f} |")
    say()
    say("Memory: peak resident size less that just before the first forward pass, U-Net 64x64 as above, three passes.")
    say()
    say("| work | PyTorch MiB | ours MiB | ours / PyTorch |")
    say("|---|---|---|---|")
    for kind, batch in (("sample", 4), ("train", 8)):
        theirs = json_lines([sys.executable, "-c", MEMORY, kind, str(args.threads)])[0]["mib"]
        extra = ["--forward-batch", "4", "--forward-only"] if kind == "sample" else ["--train-batch", "8", "--train-only"]
        ours = [row for row in json_lines([args.bench, *UNET64["ours"], "--json", "--repeats", "3", "--threads", str(args.threads), *extra]) if "mib" in row][0]["mib"]
        say(f"| {kind}, batch {batch} | {theirs:.0f} | {ours:.0f} | {ours / theirs:.2f} |")
    say()
    one, two = our_times(args, UNET64, [4], 8, threads=1), our_times(args, UNET64, [4], 8)
    scaling = ", ".join(f"{what.replace('_', ' ')} batch {batch}: {one[(what, batch)] / two[(what, batch)]:.2f}" for what, batch in two)
    say(f"Two threads against one: {scaling}.")
    say()
    say("Time per pixel of a forward pass (dim 64, mults 1,2,4), all ops but attention, and attention's share:")
    say()
    say("| size | batch | ns per pixel without attention | attention |")
    say("|---|---|---|---|")
    for size, batch in ((64, 4), (64, 16), (128, 4), (256, 4)):
        rows = json_lines([args.bench, "--size", str(size), "--dim", "64", "--mults", "1,2,4", "--json", "--repeats", "3", "--forward-only", "--profile",
                           "--forward-batch", str(batch), "--threads", str(args.threads)])
        ops = {row["op"]: row["ms"] for row in rows if "op" in row}
        attention = sum(ms for op, ms in ops.items() if "attention" in op)
        rest = sum(ops.values()) - attention
        say(f"| {size} | {batch} | {rest * 1e6 / (batch * size * size):.0f} | {100 * attention / (attention + rest):.0f} % |")


main()
