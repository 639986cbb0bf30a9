"""Train a small convolutional network on handwritten digits: an ordinary PyTorch script.

It knows nothing of where it runs. By hand:

    python examples/digits/train.py

Folders come from the environment, with a default beside this file for each:

    DATA_DIR        where images.npy and labels.npy are       (data/)
    OUTPUT_DIR      gets model.pt and metrics.json            (output/)
    CHECKPOINT_DIR  gets checkpoint.pt after every epoch      (OUTPUT_DIR/checkpoints/)

It goes on from a checkpoint that it finds. SIGTERM makes it write one at the end of the batch at hand and
exit with 143, as a shell would say it of a program that the signal ended.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import humanize
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
DATA_DIR = Path(os.environ.get("DATA_DIR", HERE / "data"))
OUTPUT_DIR = Path(os.environ.get("OUTPUT_DIR", HERE / "output"))
CHECKPOINT_DIR = Path(os.environ.get("CHECKPOINT_DIR", OUTPUT_DIR / "checkpoints"))
CHECKPOINT = CHECKPOINT_DIR / "checkpoint.pt"

SEED = 20
BATCH = 64
VALIDATION_SHARE = 0.2
INK_MAX = 16.0
EXIT_SIGTERM = 128 + signal.SIGTERM


class StopRequested(Exception):
    """SIGTERM came; a checkpoint is due."""


class Stop:
    """Remembers that SIGTERM came, for the loop to act upon between two batches."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True

    def check(self) -> None:
        if self.asked:
            raise StopRequested


class Net(nn.Module):
    """Two convolutions and two linear layers; about 95,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.dropout = nn.Dropout(0.3)
        self.hidden = nn.Linear(64 * 4 * 4, 72)
        self.out = nn.Linear(72, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.conv1(images))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.hidden(self.dropout(x.flatten(1))))
        return self.out(self.dropout(x))


def load_data(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, then those held back to validate; always the same split."""
    images = (
        torch.from_numpy(np.load(DATA_DIR / "images.npy", allow_pickle=False)).float().unsqueeze(1) / INK_MAX
    )
    labels = torch.from_numpy(np.load(DATA_DIR / "labels.npy", allow_pickle=False)).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
    held_back = int(len(images) * VALIDATION_SHARE)
    val, train = order[:held_back], order[held_back:]
    return images[train].to(device), labels[train].to(device), images[val].to(device), labels[val].to(device)


def shifted(images: Tensor) -> Tensor:
    """Each batch moved by up to one pixel each way, so that the few images teach more."""
    down, right = (int(step) for step in torch.randint(-1, 2, (2,)))
    padded = F.pad(images, (1, 1, 1, 1))
    return padded[:, :, 1 + down : 9 + down, 1 + right : 9 + right]


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, stop: Stop
) -> float:
    """One pass over the training data; the mean loss. Raises StopRequested between two batches."""
    model.train()
    total = 0.0
    for batch in torch.randperm(len(images)).split(BATCH):
        stop.check()
        loss = F.cross_entropy(model(shifted(images[batch])), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(images)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    return float((model(images).argmax(1) == labels).float().mean())


def save_checkpoint(state: dict[str, object]) -> None:
    """Whole or not at all: a reader never finds half a checkpoint."""
    CHECKPOINT_DIR.mkdir(parents=True, exist_ok=True)
    partial = CHECKPOINT.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(CHECKPOINT)


def write_results(model: nn.Module, history: list[dict[str, float]], started: float) -> None:
    OUTPUT_DIR.mkdir(parents=True, exist_ok=True)
    target = OUTPUT_DIR / "model.pt"
    torch.save(model.state_dict(), target)
    best = max(history, key=lambda row: row["val_acc"])
    summary = {"epochs": len(history), "val_acc": history[-1]["val_acc"], "best": best, "history": history}
    (OUTPUT_DIR / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"Best validation accuracy {best['val_acc']:.4f} in epoch {int(best['epoch'])}")
    size = humanize.naturalsize(target.stat().st_size)
    took = humanize.precisedelta(time.monotonic() - started, format="%.0f")
    print(f"Saved {target.name} ({size}) after {took}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=20)
    epochs = parser.parse_args().epochs
    started = time.monotonic()
    stop = Stop()
    torch.manual_seed(SEED)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_images, train_labels, val_images, val_labels = load_data(device)
    print(f"{len(train_images)} images to train on, {len(val_images)} to validate, on {device}", flush=True)

    model = Net().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    history: list[dict[str, float]] = []
    if CHECKPOINT.exists():
        saved = torch.load(CHECKPOINT, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        history = saved["history"]
        print(f"Going on after epoch {len(history)} of {epochs}", flush=True)

    def checkpoint() -> None:
        save_checkpoint(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
        )

    try:
        for epoch in range(len(history) + 1, epochs + 1):
            loss = train_epoch(model, optimizer, train_images, train_labels, stop)
            val_acc = accuracy(model, val_images, val_labels)
            history.append({"epoch": epoch, "loss": loss, "val_acc": val_acc})
            print(f"Epoch {epoch}/{epochs} - loss: {loss:.4f} - val_acc: {val_acc:.4f}", flush=True)
            checkpoint()
    except StopRequested:
        checkpoint()
        print(f"Stopped by SIGTERM after epoch {len(history)}; the checkpoint has the state", flush=True)
        return EXIT_SIGTERM
    write_results(model, history, started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
