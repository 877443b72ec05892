"""The networks and training steps of the recipes `toon-64` in plain PyTorch, to measure its speed.

Written from the specification of the model, not from anybody's code: same sizes, same tokens, same losses, AdamW with
the same decay, clipping by the global norm, averaged weights. Eager PyTorch with what is fastest in it on a CPU:
fused attention, fused AdamW, one-kernel norms; in one process, or in several with a part of the batch each. B pictures,
N patches, L latent tokens, C channels, D width.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

SIZE, PATCH, TOKENS, CHANNELS, WIDTH, HEADS, DEPTH = 64, 8, 32, 16, 192, 4, 4
PATCHES = (SIZE // PATCH) ** 2
EPS = 1e-6


def silent(x):
    """Layer norm without weights."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS)


def patches(x):
    """[B, 3, H, W] -> [B, N, 3 p p], channel first inside a patch."""
    return F.unfold(x, PATCH, stride=PATCH).transpose(1, 2)


class Rope(nn.Module):
    """Learned two-dimensional frequencies per block and head."""

    def __init__(self, depth, heads, dim):
        super().__init__()
        self.freqs = nn.Parameter(torch.randn(2, depth, heads, 1, dim // 2) * 0.1)
        at = torch.arange(PATCHES)
        side = math.isqrt(PATCHES)
        self.register_buffer("x", (at % side).float().view(1, 1, -1, 1))
        self.register_buffer("y", (at // side).float().view(1, 1, -1, 1))

    def forward(self):
        angle = self.x * self.freqs[0] + self.y * self.freqs[1]  # [depth, heads, N, d/2]
        return angle.cos(), angle.sin()


def rotate(x, cos, sin, first):
    image = x[:, :, first : first + PATCHES]
    even, odd = image[..., 0::2], image[..., 1::2]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(3)
    return torch.cat((x[:, :, :first], turned, x[:, :, first + PATCHES :]), 2)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, rope=None, first=0):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if rope is not None:
            q, k = rotate(q, *rope, first).to(v.dtype), rotate(k, *rope, first).to(v.dtype)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))


class Mlp(nn.Module):
    def __init__(self, width, gelu):
        super().__init__()
        self.gelu, self.fc1, self.fc2 = gelu, nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate=self.gelu))


class EncoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attn, self.mlp = Attention(width, heads), Mlp(width, "none")
        self.ls1, self.ls2 = nn.Parameter(torch.full((width,), 1e-5)), nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x, rope, first):
        x = x + self.ls1 * self.attn(self.norm1(x), rope, first)
        return x + self.ls2 * self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3 * PATCH * PATCH, WIDTH)
        rows = lambda n: nn.Parameter(torch.randn(1, n, WIDTH) * 0.02)
        self.cls, self.pos, self.mask = rows(1), rows(PATCHES + 1), rows(1)
        self.latent, self.latent_pos = rows(TOKENS), rows(TOKENS)
        self.blocks = nn.ModuleList(EncoderBlock(WIDTH, HEADS) for _ in range(DEPTH))
        self.norm, self.rope = nn.LayerNorm(WIDTH, EPS), Rope(DEPTH, HEADS, WIDTH // HEADS)

    def forward(self, picture, hidden):
        x = torch.where(hidden[..., None], self.mask, self.embed(patches(picture)).float())
        x = torch.cat((self.cls.expand(len(x), -1, -1), x), 1) + self.pos
        x = torch.cat((x, (self.latent + self.latent_pos).expand(len(x), -1, -1)), 1)
        cos, sin = self.rope()
        for i, block in enumerate(self.blocks):
            x = block(x, (cos[i], sin[i]), 1)
        return self.norm(x)[:, -TOKENS:]


class ModulatedBlock(nn.Module):
    """The latent tokens are modulated by the latents, the others are not."""

    def __init__(self, width, heads):
        super().__init__()
        self.attn, self.mlp = Attention(width, heads), Mlp(width, "none")
        self.modulation = nn.Linear(CHANNELS, 4 * width)

    def forward(self, x, condition, rope, first):
        shift1, scale1, shift2, scale2 = self.modulation(condition).chunk(4, -1)
        modulate = lambda u, shift, scale: torch.cat((u[:, :-TOKENS], u[:, -TOKENS:] * scale + shift), 1)
        x = x + self.attn(modulate(silent(x), shift1, scale1), rope, first)
        return x + self.mlp(modulate(silent(x), shift2, scale2))


class Decoder(nn.Module):
    def __init__(self, width, heads, depth, out):
        super().__init__()
        rows = lambda n: nn.Parameter(torch.randn(1, n, width) * 0.02)
        self.widen, self.to_pixel = nn.Linear(CHANNELS, width), nn.Linear(width, out)
        self.cls, self.pos, self.latent_pos, self.mask = (rows(n) for n in (1, PATCHES + 1, TOKENS, 1))
        self.blocks = nn.ModuleList(ModulatedBlock(width, heads) for _ in range(depth))
        self.rope = Rope(depth, heads, width // heads)
        # There in the checkpoints, but without effect on the picture.
        self.norm = nn.Linear(CHANNELS, 2 * width)

    def forward(self, z):
        image = torch.cat((self.cls, self.mask.expand(-1, PATCHES, -1)), 1) + self.pos
        x = torch.cat((image.expand(len(z), -1, -1), self.widen(z) + self.latent_pos), 1)
        cos, sin = self.rope()
        condition = F.silu(z)
        for i, block in enumerate(self.blocks):
            x = block(x, condition, (cos[i], sin[i]), 1)
        return self.to_pixel(silent(x[:, 1 : 1 + PATCHES]))


def hog(x):
    """Histograms of oriented gradients, [B, N, 27] for 8-pixel patches."""
    b, _, h, w = x.shape
    smooth = torch.tensor([1.0, 2.0, 1.0])
    sobel = torch.outer(smooth, torch.tensor([1.0, 0.0, -1.0]))
    kernels = torch.stack((sobel, sobel.T))[:, None].repeat(3, 1, 1, 1)
    gx, gy = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernels, groups=3).view(b, 3, 2, h, w).unbind(2)
    at = torch.arange(16) - 7.5
    window = torch.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 8.0**2)).repeat(h // 16, w // 16)
    weight = (gx * gx + gy * gy).sqrt() * window
    bins = (torch.atan2(gx, gy) * (9 / math.pi)).floor().long() % 9
    histogram = torch.zeros(b, 3, 9, h, w).scatter_(2, bins.unsqueeze(2), weight.unsqueeze(2))
    histogram = histogram.view(b, 27, h // 8, 8, w // 8, 8).sum((3, 5)).view(b, 3, 9, h // 8, w // 8)
    return F.normalize(histogram, dim=2).flatten(1, 2).flatten(2).transpose(1, 2)


class Tokenizer(nn.Module):
    """What the recipe `toon-64` of `train tokenizer` trains."""

    batch = 16

    def __init__(self):
        super().__init__()
        self.encoder, self.narrow = Encoder(), nn.Linear(WIDTH, CHANNELS)
        self.decoder = Decoder(WIDTH, HEADS, DEPTH, 3 * PATCH * PATCH)
        self.auxiliary = Decoder(96, 3, 1, 27)

    def counted(self):
        return [self.encoder, self.narrow, self.decoder]

    def loss(self, picture):
        hidden = torch.rand(len(picture), PATCHES).argsort(1) < PATCHES // 2
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            target = hog(picture)
        z = self.narrow(self.encoder(picture, hidden)).float()
        pixels = F.mse_loss(self.decoder(z).float(), patches(picture))
        error = (self.auxiliary(z).float() - target).square().mean(2)
        return pixels + (error * hidden).sum() / hidden.sum()


class SitBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.mlp = Attention(WIDTH, HEADS), Mlp(WIDTH, "tanh")
        self.modulation = nn.Linear(WIDTH, 6 * WIDTH)

    def forward(self, x, condition):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, -1)
        x = x + gate1 * self.attn(silent(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(silent(x) * (1 + scale2) + shift2)


class Sit(nn.Module):
    """What the recipe `toon-64` of `train diffusion` trains, on latents."""

    batch = 32

    def __init__(self, classes):
        super().__init__()
        self.classes = classes
        self.embed, self.pos = nn.Linear(CHANNELS, WIDTH), nn.Parameter(torch.randn(1, TOKENS, WIDTH) * 0.02)
        self.time = nn.Sequential(nn.Linear(256, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.label = nn.Embedding(classes + 1, WIDTH)
        self.blocks = nn.ModuleList(SitBlock() for _ in range(6))
        self.modulation, self.last = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, CHANNELS)
        self.register_buffer("rates", torch.exp(-math.log(1e4) * torch.arange(128) / 128))

    def counted(self):
        return [self]

    def forward(self, x, t, y):
        angle = t[:, None] * self.rates
        condition = F.silu(self.time(torch.cat((angle.cos(), angle.sin()), 1)) + self.label(y))
        x = self.embed(x) + self.pos
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        return self.last(silent(x) * (1 + scale) + shift)

    def loss(self, sample):
        clean, y = sample
        t = torch.sigmoid(torch.randn(len(clean)))
        noise = torch.randn_like(clean)
        at = t.view(-1, 1, 1)
        y = torch.where(torch.rand(len(y)) < 0.1, self.classes, y)
        return F.mse_loss(self(clean * (1 - at) + noise * at, t, y).float(), noise - clean)


class Training:
    """Updates of one of the two, on random data of the right form."""

    def __init__(self, name, classes, bf16, processes=1):
        torch.manual_seed(0)
        self.name, self.bf16, self.processes = name, bf16, processes
        self.model = Tokenizer() if name == "tokenizer" else Sit(classes)
        weights = list(self.model.parameters())
        decayed = [w for w in weights if w.ndim > 1]
        others = [w for w in weights if w.ndim <= 1]
        decay = 1e-4 if name == "tokenizer" else 0.0
        groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.95), fused=True)
        self.weights = weights
        self.average = [w.detach().clone() for w in weights]
        self.pictures = torch.randint(0, 256, (2048, 3, SIZE, SIZE), dtype=torch.uint8)
        self.latents, self.labels = torch.randn(2048, TOKENS, CHANNELS), torch.randint(0, classes, (2048,))

    def parameters(self):
        return sum(w.numel() for module in self.model.counted() for w in module.parameters())

    def draw(self):
        chosen = torch.randint(0, 2048, (self.model.batch // self.processes,))
        if self.name == "tokenizer":
            mirrored = torch.rand(len(chosen)) < 0.5
            picture = self.pictures[chosen].float().div_(127.5).sub_(1)
            return torch.where(mirrored[:, None, None, None], picture.flip(3), picture)
        return self.latents[chosen], self.labels[chosen]

    def step(self):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.model.loss(self.draw())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.processes > 1:
            gradients = [w.grad for w in self.weights if w.grad is not None]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            torch.distributed.all_reduce(flat)
            flat /= self.processes
            parts = flat.split([gradient.numel() for gradient in gradients])
            torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients)])
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.weights, 0.002)
        return loss.item()
