"""The table of devices: what the field's figures are computed from."""

import re

import pytest

from playattention.bench.devices import DEVICES, GB, TERA, device, named
from playattention.errors import UserError


@pytest.mark.parametrize(
    ("key", "memory", "float32", "tf32", "half"),
    [
        ("t4", 16, 8.1, None, 65),
        ("a100-40gb", 40, 19.5, 156, 312),
        ("a100-80gb", 80, 19.5, 156, 312),
        ("h100", 80, 67, 494.5, 989),
        ("h200", 141, 67, 494.5, 989),
        ("l4", 24, 30.3, 60, 121),
        ("rtx3090", 24, 35.6, 35.6, 71),
        ("rtx4090", 24, 82.6, 82.6, 165.2),
    ],
)
def test_the_known_devices_are_as_their_data_sheets_say_dense(
    key: str, memory: int, float32: float, tf32: float | None, half: float
):
    known = device(key)
    assert known.memory == memory * GB
    assert known.peak("off", tf32=False) == pytest.approx(float32 * TERA)
    assert known.peak("off", tf32=True) == pytest.approx((tf32 or float32) * TERA)
    assert known.peak("bf16", tf32=True) == pytest.approx(half * TERA)
    assert known.has_bf16 == (key != "t4")
    assert known.source.startswith("NVIDIA ")


def test_a_device_is_known_by_its_drivers_name_exactly():
    """A Ti, a laptop's or a part of a card is another device."""
    assert named("NVIDIA H100 80GB HBM3") is device("h100")
    assert named("NVIDIA H100 PCIe") is device("h100-pcie")
    for other in ("NVIDIA GeForce RTX 3090 Ti", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "AMD EPYC"):
        assert named(other) is None


def test_no_name_stands_for_two_devices():
    names = [name for known in DEVICES.values() for name in known.names]
    assert len(names) == len(set(names)) >= len(DEVICES)


def test_an_unknown_device_is_one_line_with_the_nearest():
    assert device("H100") is device("h100")
    with pytest.raises(UserError, match=re.escape("(did you mean 'h100'?); allowed: t4, ")):
        device("h10")
