"""A trained generator in one file that needs only torch.

PGGAN's (Karras et al., ICLR 2018) or DCGAN's (Radford et al., ICLR 2016), depending on the weights.

The weights are in the .safetensors file in the same folder.

    python generator.py grid.png --num 16 --seed 0

    from generator import from_pretrained, pictures
    generator = from_pretrained(".")                  # or "USER/NAME" on the Hugging Face Hub
    images = generator(torch.randn(16, generator.latent))
    # float32 (16, channels, resolution, resolution); -1 is black, 1 is white; of four channels the
    # last is alpha, -1 is transparent, 1 is opaque, and colors are not multiplied by it

    If generator.classes is not empty, latents are followed by the one-hot class, if
    generator.codes is not, by codes, the categorical ones one-hot, and if generator.generators is
    above 1, by which of them draws, one-hot:
    images = generator(torch.cat([latents, one_hot(labels, len(generator.classes))], dim=1))

Written by progan; it does not need progan.
"""

import argparse
import json
import math
import struct
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""PNG's name for grey, RGB and RGBA, by number of channels"""


class Generator(nn.Module):
    """Latents (N, inputs) -> images (N, channels, resolution, resolution).

    `inputs`: the `latent` random numbers, the one-hot class and the codes. `weights`: as trained,
    by name; the run-time scale of PGGAN's equalised learning rate, gain / sqrt(fan_in), is
    multiplied into them here, once. `variant`: the implementation whose differences from the paper
    the network has. `classes`: their names. `codes`: the number of values of each categorical code,
    and the number of continuous codes. `norm`: normalisation after each layer; batch and
    virtual_batch use statistics of the `reference` inputs, which go through the network in every
    call. `arch`: progressive (PGGAN) or dcgan. `generators`: how many share all layers but the
    first; the last inputs, one-hot, say which one draws.
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        variant: str = "paper",
        classes: tuple[str, ...] = (),
        codes: tuple[tuple[int, ...], int] = ((), 0),
        norm: str = "pixel",
        arch: str = "progressive",
        generators: int = 1,
    ) -> None:
        super().__init__()
        self.generators = generators
        self.classes, self.codes, self.arch = classes, codes, arch
        self.resolution = max(int(n.split(".")[1]) for n in weights if n.startswith("to_rgb."))
        self.reference = frozen(weights.get("reference", torch.empty(0, 0)))
        self.count = len(self.reference)
        if arch == "dcgan":
            columns, layers = dcgan(weights, self.resolution, norm, self.count)
        else:
            columns, layers = progressive(weights, self.resolution, norm, self.count, variant)
        self.indices = generators if generators > 1 else 0
        self.inputs = columns // generators + self.indices
        self.latent = self.inputs - self.indices - len(classes) - sum(codes[0]) - codes[1]
        self.channels = len(weights[f"to_rgb.{self.resolution}.bias"])
        self.layers, self.to_rgb = nn.ModuleList(layers[:-1]), layers[-1]

    def forward(self, latents: Tensor) -> Tensor:
        """One image for each latent; PGGAN's are not clipped to [-1, 1]."""
        x = torch.cat([self.reference, latents]) if self.count else latents
        if self.indices:  # the first layer has columns for each generator
            own, index = x[:, : -self.indices], x[:, -self.indices :]
            x = (index.unsqueeze(2) * own.unsqueeze(1)).flatten(1)
        for layer in self.layers:
            x = layer(x)
        image: Tensor = self.to_rgb(x[self.count :])
        return torch.tanh(image) if self.arch == "dcgan" else image


def progressive(
    weights: dict[str, Tensor], resolution: int, norm: str, count: int, variant: str
) -> tuple[int, list[nn.Module]]:
    """The first layer's columns, and the layers of PGGAN's generator, to_rgb last."""
    dense = Dense(weights, "blocks.4.dense")
    dense_norm = "none" if variant == "pro_gan_pytorch" else norm
    layers = [dense, Norm(dense_norm, weights, "blocks.4.norm0", count)]
    layers += [Conv(weights, "blocks.4.conv"), Norm(norm, weights, "blocks.4.norm1", count)]
    size = 8
    while size <= resolution:
        block = f"blocks.{size}"
        layers += [Up(weights, f"{block}.conv0"), Norm(norm, weights, f"{block}.norm0", count)]
        layers += [Conv(weights, f"{block}.conv1"), Norm(norm, weights, f"{block}.norm1", count)]
        if f"{block}.attention.gate" in weights:
            layers.append(Attention(weights, f"{block}.attention", gain=1.0))
        size *= 2
    return len(dense.weight), [*layers, Conv(weights, f"to_rgb.{resolution}", gain=1.0)]


def dcgan(
    weights: dict[str, Tensor], resolution: int, norm: str, count: int
) -> tuple[int, list[nn.Module]]:
    """The first layer's columns, and DCGAN's layers, which have no run-time scales."""
    first = Transposed(weights, "blocks.4.conv")
    layers = [first, Norm(norm, weights, "blocks.4.norm", count, slope=0.0)]
    size = 8
    while size < resolution:
        block = f"blocks.{size}"
        layers.append(Transposed(weights, f"{block}.conv"))
        layers.append(Norm(norm, weights, f"{block}.norm", count, slope=0.0))
        if f"{block}.attention.gate" in weights:
            layers.append(Attention(weights, f"{block}.attention", gain=None))
        size *= 2
    return len(first.weight), [*layers, Transposed(weights, f"to_rgb.{resolution}")]


class Dense(nn.Module):
    """Pixel norm and a dense layer to 4x4 maps."""

    def __init__(self, weights: dict[str, Tensor], name: str) -> None:
        super().__init__()
        weight = weights[f"{name}.weight"]  # (inputs, maps, 4, 4)
        self.weight = frozen(weight)
        self.scale = math.sqrt(2) / 4 / math.sqrt(len(weight))
        bias = weights[f"{name}.bias"]  # (maps,), or in one variant (maps, 4, 4)
        self.bias = frozen(bias.reshape(weight.shape[1], *bias.shape[1:] or (1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, C, 4, 4)."""
        maps = (pixel_norm(x) * self.scale) @ self.weight.flatten(1)
        return maps.reshape(-1, *self.weight.shape[1:]) + self.bias


class Transposed(nn.Module):
    """A transposed 4x4 convolution of stride 2; vectors become 4x4 maps."""

    def __init__(self, weights: dict[str, Tensor], name: str) -> None:
        super().__init__()
        self.weight = frozen(weights[f"{name}.weight"].transpose(0, 1))
        bias = weights.get(f"{name}.bias")
        self.bias = None if bias is None else frozen(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', 2H, 2W); (N, C) -> (N, C', 4, 4)."""
        if x.dim() == 2:
            return F.conv_transpose2d(x[:, :, None, None], self.weight, self.bias)
        return F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


class Conv(nn.Module):
    """A convolution that keeps the size."""

    def __init__(
        self, weights: dict[str, Tensor], name: str, gain: float | None = math.sqrt(2)
    ) -> None:
        super().__init__()
        self.weight = frozen(scaled(weights[f"{name}.weight"], gain))
        self.bias = frozen(weights[f"{name}.bias"])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W)."""
        return F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2)


class Up(nn.Module):
    """Nearest up-scaling and a 3x3 convolution, as one transposed 4x4 convolution of stride 2."""

    def __init__(self, weights: dict[str, Tensor], name: str) -> None:
        super().__init__()
        weight = scaled(weights[f"{name}.weight"], math.sqrt(2))
        fused = (weight.reshape(-1, 9) @ four_shifts()).reshape(*weight.shape[:2], 4, 4)
        self.weight = frozen(fused.transpose(0, 1))
        self.bias = frozen(weights[f"{name}.bias"])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', 2H, 2W)."""
        return F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


class Norm(nn.Module):
    """Normalisation and leaky ReLU, after a layer; `count` samples of x are the reference batch."""

    def __init__(
        self, kind: str, weights: dict[str, Tensor], name: str, count: int, slope: float = 0.2
    ) -> None:
        super().__init__()
        self.kind, self.count, self.slope = kind, count, slope
        if kind not in ("pixel", "none", "batch", "virtual_batch"):
            raise ValueError(f"the norm {kind!r} is not known")
        if kind in ("batch", "virtual_batch"):
            self.weight = frozen(weights[f"{name}.weight"].reshape(1, -1, 1, 1))
            self.bias = frozen(weights[f"{name}.bias"].reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if self.kind == "pixel":
            return pixel_norm(F.leaky_relu(x, self.slope))
        if self.kind == "none":
            return F.leaky_relu(x, self.slope)
        if self.kind == "batch":
            reference = x[: self.count]
            variance, mean = torch.var_mean(reference, dim=(0, 2, 3), correction=0, keepdim=True)
        else:
            mean, variance = self.virtual_batch_statistics(x)
        normed = (x - mean) * torch.rsqrt(variance + 1e-5)
        return F.leaky_relu(normed * self.weight + self.bias, self.slope)

    def virtual_batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the reference batch together with each other sample."""
        means = x.mean(dim=(2, 3), keepdim=True)
        squares = x.square().mean(dim=(2, 3), keepdim=True)
        mean = means[: self.count].mean(dim=0, keepdim=True)
        square = squares[: self.count].mean(dim=0, keepdim=True)
        outside = torch.ones_like(means[:, :1]).cumsum(dim=0) > self.count
        share = outside / (self.count + 1)
        mean, square = torch.lerp(mean, means, share), torch.lerp(square, squares, share)
        return mean, (square - mean.square()).clamp(min=0)


class Attention(nn.Module):
    """Self-attention between the positions of a feature map (SAGAN)."""

    def __init__(self, weights: dict[str, Tensor], name: str, gain: float | None) -> None:
        super().__init__()
        self.query = Conv(weights, f"{name}.query", gain)
        self.key = Conv(weights, f"{name}.key", gain)
        self.value = Conv(weights, f"{name}.value", gain)
        self.out = Conv(weights, f"{name}.out", gain)
        self.gate = frozen(weights[f"{name}.gate"])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        attention = (key.transpose(1, 2) @ query).softmax(dim=1)
        attended = (value @ attention).reshape(-1, value.shape[1], *x.shape[2:])
        added: Tensor = self.gate * self.out(attended)
        return x + added


def one_hot(values: Tensor, count: int) -> Tensor:
    """Labels, or values of a code, from 0 to count - 1, (N,) -> float32 (N, count)."""
    return F.one_hot(values, count).float()


def random_inputs(
    generator: Generator, num: int, numbers: torch.Generator, wanted: str | None = None
) -> Tensor:
    """(num, inputs): latents, class `wanted` or all in turn, random codes and generators."""
    inputs = [torch.randn(num, generator.latent, generator=numbers)]
    if count := len(generator.classes):
        labels = torch.arange(num) % count
        if wanted is not None:
            labels.fill_(generator.classes.index(wanted))
        inputs.append(one_hot(labels, count))
    categorical, continuous = generator.codes
    for size in categorical:
        inputs.append(one_hot(torch.randint(size, (num,), generator=numbers), size))
    inputs.append(2 * torch.rand(num, continuous, generator=numbers) - 1)
    if generator.indices:
        drawn = torch.randint(generator.indices, (num,), generator=numbers)
        inputs.append(one_hot(drawn, generator.indices))
    return torch.cat(inputs, dim=1)


def four_shifts() -> Tensor:
    """(9, 16): rotates a flattened 3x3 kernel by 180 degrees and sums its four one-pixel shifts."""
    padded = F.pad(torch.eye(9).reshape(9, 3, 3).flip(1, 2), (1, 1, 1, 1))
    rows = padded[:, 1:] + padded[:, :-1]
    return (rows[..., 1:] + rows[..., :-1]).flatten(1)


def scaled(weight: Tensor, gain: float | None) -> Tensor:
    """A kernel (out, in, k, k) times gain / sqrt(fan_in); unchanged without gain."""
    return weight if gain is None else weight * (gain / math.sqrt(weight[0].numel()))


def frozen(values: Tensor) -> nn.Parameter:
    """A parameter that is not trained."""
    return nn.Parameter(values.contiguous(), requires_grad=False)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale the vector of every pixel (or latent) to unit mean square."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def load(path: str | Path) -> Generator:
    """The generator whose weights are in a .safetensors file. ValueError if it is malformed."""
    try:
        return generator_of(*read_safetensors(Path(path).read_bytes()))
    except OSError:
        raise
    except Exception as error:  # of many types, by what is wrong
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ValueError(f"{path} holds no generator, or is damaged ({reason})") from error


def from_pretrained(model: str | Path, revision: str | None = None) -> Generator:
    """The generator in a folder, or in a repository USER/NAME on the Hugging Face Hub, on the CPU.

    Of a repository only the weights are fetched, by huggingface_hub. FileNotFoundError unless there
    is exactly one .safetensors file, ValueError if it is malformed.
    """
    folder = Path(model)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        only = "*.safetensors"
        folder = Path(snapshot_download(str(model), revision=revision, allow_patterns=only))
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise FileNotFoundError(f"{model} holds {len(files)} .safetensors files, not one")
    return load(files[0])


def generator_of(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Generator:
    """The generator with these weights and settings, checked by a pass on the meta device."""
    classes = tuple(json.loads(metadata.get("classes", "[]")))
    codes = json.loads(metadata.get("codes", '{"categorical": [], "continuous": 0}'))
    counts = tuple(codes["categorical"]), codes["continuous"]
    variant, norm = metadata.get("variant", "paper"), metadata.get("norm", "pixel")
    arch = metadata.get("arch", "progressive")
    generators = int(metadata.get("generators", "1"))
    generator = Generator(tensors, variant, classes, counts, norm, arch, generators).eval()
    sizes_fit = generator.latent > 0 and min((2, *counts[0])) == 2 and counts[1] >= 0
    if not sizes_fit or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"{generator.inputs} inputs do not fit its classes and codes")
    shapes = {name: value.to("meta") for name, value in generator.named_parameters()}
    latents = torch.empty(1, generator.inputs, device="meta")
    image = torch.func.functional_call(generator, shapes, latents)
    if image.shape[2:] != (generator.resolution, generator.resolution):
        raise ValueError(f"it draws pictures of {tuple(image.shape[2:])} pixels")
    if generator.channels not in COLOUR_TYPES:
        raise ValueError(f"it draws pictures of {generator.channels} channels")
    return generator


def read_safetensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """float32 tensors by name, and the metadata. ValueError or KeyError if a file is damaged.

    The format: eight bytes of length, a JSON header of that length, then the tensors' data, one
    after the other.
    """
    (length,) = struct.unpack_from("<Q", data)
    if length > len(data) - 8:
        raise ValueError(f"its header claims {length} bytes, and the file has {len(data)}")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body = bytearray(data[8 + length :])
    tensors, position = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        size = math.prod(shape[:8]) * dtype.itemsize
        if begin != position or end != begin + size or end > len(body) or len(shape) > 8:
            raise ValueError(f"{name} is not where the header says, or the file was cut off")
        flat = torch.frombuffer(body, dtype=dtype, count=math.prod(shape), offset=begin)
        tensors[name] = flat.reshape(shape).to(torch.float32, copy=True)
        if not tensors[name].isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite values")
        position = end
    return tensors, metadata


def pictures(images: Tensor) -> Tensor:
    """float32 in [-1, 1] (clipped) -> uint8, any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def over_checkerboard(images: Tensor) -> Tensor:
    """uint8 RGBA (N, 4, H, W) -> RGB (N, 3, H, W), so that transparency is seen; else unchanged."""
    if images.shape[1] != 4:
        return images
    rows, columns = (torch.arange(side) // 8 for side in images.shape[2:])
    board = 200.0 + 55 * ((rows[:, None] + columns) % 2)
    alpha = images[:, 3:] / 255
    return torch.lerp(board, images[:, :3].float(), alpha).round().to(torch.uint8)


def grid(images: Tensor) -> Tensor:
    """uint8 pictures (N, C, H, W) in rows of about sqrt(N): (C, rows H, columns W)."""
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = images.new_full((rows * columns, channels, height, width), 255)
    sheet[:count] = images
    cells = sheet.reshape(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    return cells.reshape(channels, rows * height, columns * width)


def png(picture: Tensor) -> bytes:
    """A uint8 picture (C, H, W), C = 1, 3 or 4, as a PNG file."""
    channels, height, width = picture.shape
    rows = picture.permute(1, 2, 0).reshape(height, -1)
    unfiltered = F.pad(rows, (1, 0))  # each row begins with its filter, 0
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(unfiltered.flatten().tolist()))),
            (b"IEND", b""),
        )
    )


def main() -> None:
    """Draw a grid of pictures, those with alpha over a checkerboard; a single one keeps alpha."""
    weights = sorted(Path(__file__).parent.glob("*.safetensors"))
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path, help="a PNG file")
    parser.add_argument("--num", type=int, default=16, help="pictures")
    parser.add_argument("--seed", type=int, default=0, help="of torch's random numbers")
    parser.add_argument("--class", dest="wanted", help="its name  [default: they take turns]")
    parser.add_argument("--weights", type=Path, default=weights[0] if weights else None)
    arguments = parser.parse_args()
    if arguments.num < 1:
        parser.error("--num is below 1: there is nothing to draw")
    if arguments.weights is None:
        parser.exit(3, f"{parser.prog}: there is no .safetensors file in {Path(__file__).parent}\n")
    try:
        generator = load(arguments.weights)
    except (OSError, ValueError) as error:
        parser.exit(3, f"{parser.prog}: {error}\n")
    numbers = torch.Generator().manual_seed(arguments.seed)
    if arguments.wanted is not None and arguments.wanted not in generator.classes:
        parser.error(f"--class: there are {list(generator.classes[:12]) or 'no classes'}")
    latents = random_inputs(generator, arguments.num, numbers, arguments.wanted)
    images = torch.cat([pictures(generator(part)) for part in torch.split(latents, 16)])
    if len(images) > 1:
        images = over_checkerboard(images)
    temporary = arguments.out.with_name(f".{arguments.out.name}.tmp")
    temporary.write_bytes(png(grid(images)))
    temporary.replace(arguments.out)


if __name__ == "__main__":
    main()
