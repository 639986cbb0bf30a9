"""What a person has chosen in the settings, with what holds as long as they have not."""

from __future__ import annotations

from pathlib import Path

from gui_kit.preferences import Preferences
from p2p.core.money import Asset

OUT_FOLDER, ASSET, NOTIFICATIONS = "out_folder", "asset", "notifications"


def out_folder(kept: Preferences) -> Path | None:
    """In which new jobs get a folder for their results; None: beside their script."""
    named = kept.get(OUT_FOLDER)
    return Path(named) if named else None


def asset_of(kept: Preferences) -> Asset:
    """In what new jobs are paid."""
    named = kept.get(ASSET)
    return next((asset for asset in Asset if asset.value == named), Asset.USDC)


def notifies(kept: Preferences) -> bool:
    """Whether news are told."""
    return kept.get(NOTIFICATIONS, "on") == "on"


def free_folder(base: Path, name: str) -> Path:
    """A folder in ``base`` that is not there yet: ``name``, ``name-2`` …"""
    found, number = base / name, 1
    while found.exists():
        number += 1
        found = base / f"{name}-{number}"
    return found
