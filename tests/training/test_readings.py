"""Readings: right where the driver answers, None where it may not, and never in training's way."""

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from playattention.training import readings
from playattention.training.readings import (
    GIB,
    Holder,
    Meter,
    Reading,
    main_memory,
    read_cpu,
    read_gpu,
    read_gpus,
)

NVML = readings.pynvml
CARDS = {
    "GPU-aaaa": ("NVIDIA A100-SXM4-40GB", 4 * GIB, 40 * GIB, 35),
    "GPU-bbbb": ("NVIDIA H100 80GB HBM3", 60 * GIB, 80 * GIB, 97),
}


class Driver:
    """A driver with two cards, in the place of NVML's calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused: set[str] = set()
        self.split: set[str] = set()
        self.answers = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: len(CARDS),
            "nvmlDeviceGetHandleByIndex": lambda index: list(CARDS)[index],
            "nvmlDeviceGetHandleByUUID": self.by_uuid,
            "nvmlDeviceGetName": lambda card: CARDS[card.split("/")[0]][0],
            "nvmlDeviceGetMemoryInfo": lambda card: SimpleNamespace(
                used=CARDS[card.split("/")[0]][1], total=CARDS[card.split("/")[0]][2]
            ),
            "nvmlDeviceGetUtilizationRates": lambda card: SimpleNamespace(gpu=CARDS[card][3]),
            "nvmlDeviceGetTemperature": lambda *_: 61,
            "nvmlDeviceGetPowerUsage": lambda _: 312_400,
            "nvmlDeviceGetEnforcedPowerLimit": lambda _: 700_000,
            "nvmlDeviceGetComputeRunningProcesses": lambda _: [
                SimpleNamespace(pid=psutil.Process().pid, usedGpuMemory=GIB),
                SimpleNamespace(pid=2**22 + 7, usedGpuMemory=3 * GIB),  # of another container
                SimpleNamespace(pid=1, usedGpuMemory=None),
            ],
            "nvmlDeviceGetMigMode": lambda card: [int(card in self.split), 0],
            "nvmlDeviceGetMaxMigDeviceCount": lambda _: 3,
            "nvmlDeviceGetMigDeviceHandleByIndex": self.part,
        }
        for name in self.answers:
            monkeypatch.setattr(NVML, name, lambda *about, name=name: self.answer(name, *about))

    def answer(self, name: str, *about: Any) -> Any:
        if name in self.refused:
            raise NVML.NVMLError(NVML.NVML_ERROR_NO_PERMISSION)
        return self.answers[name](*about)

    def by_uuid(self, uuid: str) -> str:
        if uuid not in CARDS:
            raise NVML.NVMLError(NVML.NVML_ERROR_NOT_FOUND)
        return uuid

    def part(self, card: str, index: int) -> str:
        if index == 1:
            raise NVML.NVMLError(NVML.NVML_ERROR_NOT_FOUND)
        return f"{card}/{index}"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


def test_every_gpu_of_the_driver_is_read(driver: Driver):
    first, second = read_gpus()
    assert (first.name, second.name) == ("NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3")
    assert (second.memory_used, second.memory_total) == (60 * GIB, 80 * GIB)
    assert (second.utilisation, second.temperature) == (0.97, 61)
    assert (second.watts, second.watts_limit) == (312.4, 700.0)


def test_the_processes_that_hold_memory_come_by_size_also_those_without_a_name(driver: Driver):
    holders = read_gpus()[0].holders
    assert holders[0] == Holder(2**22 + 7, "?", 3 * GIB)
    assert holders[1] == Holder(psutil.Process().pid, psutil.Process().name(), GIB)
    assert (holders[2].pid, holders[2].memory) == (1, None)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("nvmlDeviceGetMemoryInfo", "memory_used"),
        ("nvmlDeviceGetUtilizationRates", "utilisation"),
        ("nvmlDeviceGetTemperature", "temperature"),
        ("nvmlDeviceGetPowerUsage", "watts"),
        ("nvmlDeviceGetEnforcedPowerLimit", "watts_limit"),
    ],
)
def test_what_a_container_may_not_see_is_none_and_the_rest_is_there(
    driver: Driver, call: str, field: str
):
    whole = read_gpus()[0]
    driver.refused.add(call)
    partial = read_gpus()[0]
    assert getattr(partial, field) is None
    assert getattr(whole, field) is not None
    assert partial.name == whole.name
    driver.refused |= set(driver.answers) - {"nvmlInit"}
    assert read_gpus() == []
    assert read_gpu("GPU-aaaa") is None


def test_a_split_gpu_is_read_part_by_part(driver: Driver):
    """Its parts have memory of their own, and NVML tells no utilisation of them."""
    driver.split.add("GPU-aaaa")
    driver.answers["nvmlDeviceGetUtilizationRates"] = driver.by_uuid  # knows whole ones alone
    driver.refused.add("nvmlDeviceGetUtilizationRates")
    names = [reading.name for reading in read_gpus()]
    assert names == ["NVIDIA A100-SXM4-40GB"] * 2 + ["NVIDIA H100 80GB HBM3"]
    assert read_gpus()[0].utilisation is None


@pytest.mark.parametrize("uuid", ["GPU-bbbb", "bbbb"])
def test_a_gpu_is_found_by_what_cuda_calls_it_not_by_its_number(driver: Driver, uuid: str):
    reading = read_gpu(uuid)
    assert reading is not None
    assert reading.name == "NVIDIA H100 80GB HBM3"
    assert read_gpu("cccc") is None


def test_the_gpu_of_a_training_is_the_one_that_cuda_names(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
):
    """CUDA_VISIBLE_DEVICES=1 makes the second card CUDA's cuda:0."""
    asked = []

    def properties(device: torch.device) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(uuid="bbbb")

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.setattr(readings, "SECONDS_BETWEEN_READINGS", 0.0)
    assert Meter(torch.device("cuda:0")).told() == "60.0/80.0 GiB 97%"
    assert asked == [torch.device("cuda:0")]


@pytest.mark.parametrize("error", [NVML.NVML_ERROR_LIBRARY_NOT_FOUND, NVML.NVML_ERROR_UNKNOWN])
def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch, error: int):
    def missing() -> None:
        raise NVML.NVMLError(error)

    monkeypatch.setattr(NVML, "nvmlInit", missing)
    assert read_gpus() == []
    assert read_gpu("GPU-aaaa") is None


# The CPU.


def test_the_cpus_reading_is_that_of_this_machine():
    reading = read_cpu(seconds=0.01)
    assert reading.name
    assert 0 < reading.memory_used < reading.memory_total <= psutil.virtual_memory().total
    assert 0 <= reading.utilisation <= 1
    sizes = [holder.memory for holder in reading.holders]
    assert sizes == sorted(sizes, reverse=True)
    assert psutil.Process().pid in [holder.pid for holder in reading.holders]


def test_a_containers_limit_is_its_memory(tmp_path, monkeypatch: pytest.MonkeyPatch):
    machine = psutil.virtual_memory().total
    monkeypatch.setattr(readings, "CONTROL_GROUPS", tmp_path)
    assert main_memory() == machine
    (tmp_path / "memory.max").write_text("max\n")
    assert main_memory() == machine
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert main_memory() == GIB
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("536870912\n")
    assert main_memory() == GIB // 2


# The meter of the progress bar.


def test_the_meter_tells_this_processs_memory_on_a_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readings, "SECONDS_BETWEEN_READINGS", 0.0)
    used, total, unit, share = Meter(torch.device("cpu")).told().replace("/", " ").split()
    assert float(used) == pytest.approx(psutil.Process().memory_info().rss / GIB, abs=0.1)
    assert float(total) == pytest.approx(main_memory() / GIB, abs=0.1)
    assert (unit, share[-1]) == ("GiB", "%")


def test_the_meter_reads_once_a_second_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch):
    now, read = [100.0], []

    def reader(device: torch.device) -> Any:
        def one() -> Reading:
            read.append(now[0])
            return Reading("", len(read) * GIB, 4 * GIB, None)

        return one

    monkeypatch.setattr(readings, "_reader", reader)
    monkeypatch.setattr(readings.time, "monotonic", lambda: now[0])
    meter = Meter(torch.device("cpu"))
    told = []
    for _ in range(5_000):
        now[0] += 0.001
        told.append(meter.told())
    assert 4 <= len(read) <= 5
    assert told[0] == ""
    assert told[-1] == f"{len(read)}.0/4.0 GiB"


def test_a_device_that_tells_nothing_leaves_the_bar_as_it_was(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readings, "_reader", lambda _: lambda: None)
    monkeypatch.setattr(readings, "SECONDS_BETWEEN_READINGS", 0.0)
    assert Meter(torch.device("cpu")).told() == ""
