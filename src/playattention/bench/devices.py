"""What known devices can hold and compute, from their makers' data sheets.

Dense figures: data sheets also print twice as much, for matrices of which half is zero. A real
product of large matrices stays some 10 to 30 % below its peak. Knows no torch.
"""

from dataclasses import dataclass

from playattention.errors import unknown

GB = 10**9
"""Data sheets count in these; `nvidia-smi` in GiB, 7 % more."""
TERA = 10**12


@dataclass(frozen=True)
class Device:
    """A device as its maker describes it."""

    key: str
    """As `--device` takes it."""
    names: tuple[str, ...]
    """As the driver names it."""
    memory: int
    """Bytes."""
    float32: float
    """Operations a second, outside the tensor cores."""
    tf32: float | None
    """Operations a second of float32 products with rounded operands; None: it has none."""
    half: float
    """Operations a second in bf16 (fp16 where it has no bf16), float32 sums, not sparse."""
    has_bf16: bool
    """In hardware."""
    source: str
    """The maker's page or paper that says so."""

    def peak(self, autocast: str, tf32: bool) -> float:
        """Return the operations a second for settings.

        Args:
            autocast: "off", "bf16" or "fp16".
            tf32: Whether float32 products may be rounded to TF32.
        """
        if autocast != "off":
            return self.half
        return self.tf32 if tf32 and self.tf32 else self.float32


def _device(
    key: str,
    names: str,
    gigabytes: int,
    teraflops: tuple[float, float | None, float],
    source: str,
) -> Device:
    """Return a device; its operations are float32, TF32 and half, in TFLOP/s."""
    float32, tf32, half = teraflops
    return Device(
        key=key,
        names=tuple(names.split(", ")),
        memory=gigabytes * GB,
        float32=float32 * TERA,
        tf32=tf32 and tf32 * TERA,
        half=half * TERA,
        has_bf16=tf32 is not None,  # both came with compute capability 8.0
        source=source,
    )


DEVICES = {
    device.key: device
    for device in (
        _device("t4", "Tesla T4", 16, (8.1, None, 65), "NVIDIA T4 data sheet"),
        _device(
            "v100-16gb",
            "Tesla V100-SXM2-16GB",
            16,
            (15.7, None, 125),
            "NVIDIA V100 data sheet",
        ),
        _device(
            "v100-32gb",
            "Tesla V100-SXM2-32GB",
            32,
            (15.7, None, 125),
            "NVIDIA V100 data sheet",
        ),
        _device(
            "a100-40gb",
            "NVIDIA A100-SXM4-40GB, NVIDIA A100-PCIE-40GB",
            40,
            (19.5, 156, 312),
            "NVIDIA A100 data sheet",
        ),
        _device(
            "a100-80gb",
            "NVIDIA A100-SXM4-80GB, NVIDIA A100 80GB PCIe",
            80,
            (19.5, 156, 312),
            "NVIDIA A100 data sheet",
        ),
        _device("a10", "NVIDIA A10", 24, (31.2, 62.5, 125), "NVIDIA A10 data sheet"),
        _device("a40", "NVIDIA A40", 48, (37.4, 74.8, 149.7), "NVIDIA A40 data sheet"),
        _device(
            "a6000", "NVIDIA RTX A6000", 48, (38.7, 77.4, 154.8), "NVIDIA Ampere GA102 white paper"
        ),
        _device(
            "rtx3090",
            "NVIDIA GeForce RTX 3090",
            24,
            (35.6, 35.6, 71),
            "NVIDIA Ampere GA102 white paper",
        ),
        _device("l4", "NVIDIA L4", 24, (30.3, 60, 121), "NVIDIA L4 data sheet, half its sparse"),
        _device("l40s", "NVIDIA L40S", 48, (91.6, 183, 362), "NVIDIA L40S data sheet"),
        _device(
            "rtx4090",
            "NVIDIA GeForce RTX 4090",
            24,
            (82.6, 82.6, 165.2),
            "NVIDIA Ada white paper",
        ),
        _device(
            "rtx5090",
            "NVIDIA GeForce RTX 5090",
            32,
            (104.8, 104.8, 209.5),
            "NVIDIA RTX Blackwell white paper",
        ),
        _device(
            "h100",
            "NVIDIA H100 80GB HBM3",
            80,
            (67, 494.5, 989),
            "NVIDIA H100 data sheet (SXM), half its sparse",
        ),
        _device(
            "h100-pcie",
            "NVIDIA H100 PCIe",
            80,
            (51, 378, 756),
            "NVIDIA H100 data sheet of 2022 (PCIe), half its sparse",
        ),
        _device(
            "h200",
            "NVIDIA H200",
            141,
            (67, 494.5, 989),
            "NVIDIA H200 data sheet (SXM), half its sparse",
        ),
    )
}
"""By what `--device` takes."""


def device(key: str) -> Device:
    """Return a known device.

    Raises:
        UserError: If it is not known; names the nearest.
    """
    if key.lower() not in DEVICES:
        raise unknown("device", key, DEVICES)
    return DEVICES[key.lower()]


def named(name: str) -> Device | None:
    """Return the device that a driver calls so; None: not known, or a part of one (MIG)."""
    return next((known for known in DEVICES.values() if name in known.names), None)
