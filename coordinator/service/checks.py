"""What protobuf cannot say of a message that came in: lengths, ranges, forms."""

from __future__ import annotations

import math
import re

from p2p.core.errors import UserError
from p2p.core.jobspec import (
    JobConfig,
    JobSpec,
    check_data_url,
    check_gpu_type,
    check_timeout,
)
from p2p.core.limits import (
    ADDRESSES_PER_PEER_MAX,
    AMOUNT_MAX_UNITS,
    GPUS_PER_NODE_MAX,
    JOB_NAME_MAX_CHARS,
    MANIFEST_BYTES_MAX,
    MANIFEST_FILES_MAX,
    PATH_NAME_MAX_BYTES,
    REASON_MAX_CHARS,
    SIGNED_PAYLOAD_MAX_BYTES,
)
from p2p.core.manifest import check_path
from p2p.core.messages.nodes import Heartbeat, HeldJob, NodeAdvert
from p2p.core.signing import Signed
from p2p.core.text import clean_line, clean_name

HASH_BYTES = 32
_ADDRESS_MAX_CHARS = 256
_HELD_MAX = GPUS_PER_NODE_MAX * 8  # jobs that deliver hold no slot
_GPU_ID = re.compile(r"[\x21-\x7e]{1,96}\Z")


def check_spec(spec: JobSpec) -> None:
    """:raises UserError: a field out of range."""
    check_config(spec.config)
    _require(0 < len(spec.name) <= JOB_NAME_MAX_CHARS, "the job's name is empty or too long")
    _require(clean_name(spec.name, JOB_NAME_MAX_CHARS) == spec.name, "the job's name is unprintable")
    _require(len(spec.script.encode()) <= PATH_NAME_MAX_BYTES, "the script's name is too long")
    check_path(spec.script)
    _require(len(spec.input_root) == HASH_BYTES, "the input root is no hash")
    check_input_bytes(spec.input_bytes)
    _require(0 < spec.input_files <= MANIFEST_FILES_MAX, "the inputs have no files or too many")
    _require(len(spec.data_sha256) in (0, HASH_BYTES), "data_sha256 is no hash")
    if spec.data_url:
        check_data_url(spec.data_url)


def check_config(config: JobConfig) -> None:
    """:raises UserError: a field out of range."""
    check_gpu_type(config.gpu_type)
    check_timeout(config.timeout_s)
    price = config.max_price_usd_micros_per_hour
    _require(price is None or 0 < price <= AMOUNT_MAX_UNITS, "max_price is out of range")
    _require(0 <= config.min_vram_bytes <= 2**50, "min_vram is out of range")


def check_input_bytes(count: int) -> None:
    """:raises UserError: more than a job may have."""
    _require(0 <= count <= MANIFEST_BYTES_MAX, "the inputs are too large")


def check_advert(advert: NodeAdvert) -> None:
    """:raises UserError: a field out of range."""
    check_addresses(advert.addresses)
    hardware = advert.hardware
    _require(len(hardware.gpus) <= GPUS_PER_NODE_MAX, "too many GPUs")
    _require(len({gpu.uuid for gpu in hardware.gpus}) == len(hardware.gpus), "two GPUs have one uuid")
    for gpu in hardware.gpus:
        _require(bool(_GPU_ID.match(gpu.uuid)), "a GPU's uuid is malformed")
        _require(len(gpu.name) <= 128, "a GPU's name is too long")
        check_gpu_type(gpu.gpu_class)
        _require(0 <= gpu.vram_bytes <= 2**50, "a GPU's memory is out of range")
    _require(0 <= hardware.disk_free_bytes <= 2**62, "disk_free_bytes is out of range")
    _require(0 <= advert.min_price_usd_micros_per_hour <= AMOUNT_MAX_UNITS, "min_price is out of range")
    _require(len(advert.image_digest) <= 128 and len(advert.version) <= 64, "image or version is too long")
    _require(0 < len(advert.networks) <= 8, "it offers no network mode")


def check_heartbeat(beat: Heartbeat) -> None:
    """:raises UserError: a field out of range."""
    check_held(beat.held)
    _require(0 <= beat.disk_free_bytes <= 2**62, "disk_free_bytes is out of range")
    reading = beat.reading
    _require(
        math.isfinite(reading.cpu_percent) and 0 <= reading.cpu_percent < 1e6, "cpu_percent is out of range"
    )
    _require(0 <= reading.memory_used_bytes <= 2**62, "memory_used_bytes is out of range")


def check_held(held: tuple[HeldJob, ...]) -> None:
    """:raises UserError: too many, or one twice, or a duration that is none."""
    _require(len(held) <= _HELD_MAX, "too many jobs held")
    _require(len({job.job_id for job in held}) == len(held), "a job is held twice")
    for job in held:
        check_duration(job.run_seconds)


def check_duration(seconds: float) -> None:
    """:raises UserError: negative, infinite, not a number."""
    _require(math.isfinite(seconds) and 0 <= seconds < 1e9, "run_seconds is out of range")


def check_signed(signed: Signed) -> None:
    """:raises UserError: larger than what we keep."""
    _require(len(signed.payload) <= SIGNED_PAYLOAD_MAX_BYTES, "a signed statement is too large")


def check_addresses(addresses: tuple[str, ...]) -> None:
    """:raises UserError: too many or too long."""
    _require(len(addresses) <= ADDRESSES_PER_PEER_MAX, "too many addresses")
    for address in addresses:
        _require(address.startswith("/") and len(address) <= _ADDRESS_MAX_CHARS, "an address is malformed")


def clean_detail(text: str) -> str:
    """A stranger's explanation, made harmless and short."""
    return clean_line(" ".join(text.split()), REASON_MAX_CHARS)


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise UserError("bad_message", f"A message was refused: {problem}.", "Nothing was done.")
