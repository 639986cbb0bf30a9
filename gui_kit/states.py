"""The one map from a state to its word, icon and colour. A state is never told by colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gui_kit.tokens import Token
from gui_kit.words import tr


@dataclass(frozen=True, slots=True)
class Look:
    """How a state looks; ``icon`` is a name of :mod:`gui_kit.icons`."""

    word: str
    icon: str
    token: Token


JOB_STATES: dict[str, Look] = {
    # before the coordinator has it (p2p.engine.views.state_word)
    "planned": Look("Planned", "file-document-edit-outline", "muted"),
    "opening": Look("Paying into escrow", "lock-clock", "accent"),
    "withdrawing": Look("Taking back", "undo-variant", "warning"),
    "dropped": Look("Dropped", "close-circle-outline", "muted"),
    # p2p.core.states.JobState
    "queued": Look("Waiting for a node", "timer-sand", "warning"),
    "assigned": Look("Node found", "server-network", "accent"),
    "staging": Look("Preparing", "tray-arrow-up", "accent"),
    "running": Look("Running", "play-circle-outline", "accent"),
    "delivering": Look("Fetching results", "tray-arrow-down", "accent"),
    "completed": Look("Completed", "check-circle-outline", "success"),
    "settled": Look("Paid", "check-decagram-outline", "success"),
    "failed": Look("Failed", "alert-circle-outline", "danger"),
    "cancelled": Look("Cancelled", "cancel", "muted"),
    "refunded": Look("Refunded", "cash-refund", "muted"),
}
ENGINE_STEPS: dict[str, Look] = {
    # p2p.store.stages.Stage: what the buyer's own agent has done, in a job's history
    "packaged": Look("Files hashed", "package-variant-closed", "muted"),
    "quoted": Look("Terms signed", "file-sign", "muted"),
    "opening": Look("Deposit on its way", "lock-clock", "accent"),
    "opened": Look("Deposit in escrow", "lock-outline", "accent"),
    "following": Look("Known to the coordinator", "server-network", "muted"),
    "fetching": Look("Fetching results", "tray-arrow-down", "accent"),
    "verified": Look("Results verified", "shield-check-outline", "success"),
    "receipted": Look("Receipt signed", "file-sign", "muted"),
    "closing": Look("Waiting for the refund", "timer-sand", "muted"),
    "withdrawing": Look("Taking the deposit back", "undo-variant", "warning"),
    "disputed": Look("Disputed", "scale-balance", "warning"),
    "topped_up": Look("Time added", "timer-plus-outline", "success"),
    "not_topped_up": Look("No time was added", "timer-alert-outline", "warning"),
}
RESULT_FILES: dict[str, Look] = {
    # a file of a job's results
    "verified": Look("Verified", "shield-check-outline", "success"),
    "changed": Look("Changed since", "alert-outline", "warning"),
    "missing": Look("Not there any more", "close-circle-outline", "danger"),
    "beside": Look("Beside them", "file-outline", "muted"),
}
NODE_PHASES: dict[str, Look] = {
    # p2p.store.node.Phase: an attempt at its node
    "assigned": Look("Accepted", "server-network", "accent"),
    "staging": Look("Fetching inputs", "tray-arrow-down", "accent"),
    "installing": Look("Installing requirements", "package-variant", "accent"),
    "running": Look("Running", "play-circle-outline", "accent"),
    "exited": Look("Script ended", "flag-checkered", "accent"),
    "collecting": Look("Collecting results", "package-variant-closed", "accent"),
    "delivering": Look("Handing over results", "tray-arrow-up", "accent"),
    "released": Look("Delivered", "check-circle-outline", "success"),
    "failed": Look("Failed", "alert-circle-outline", "danger"),
    "stopped": Look("Stopped", "stop-circle-outline", "muted"),
    "cleaned": Look("Finished", "archive-outline", "muted"),
}
CHECKS: dict[str, Look] = {
    "ok": Look("In order", "check-circle-outline", "success"),
    "limited": Look("Limited", "alert-outline", "warning"),
    "missing": Look("Missing", "close-circle-outline", "danger"),
}
NODE_STATES: dict[str, Look] = {
    # what a seller's machine does at the moment (node_gui.standing)
    "waiting": Look("Available", "check-circle-outline", "success"),
    "working": Look("Working", "play-circle-outline", "accent"),
    "finishing": Look("Finishing, then stops", "flag-checkered", "warning"),
    "paused": Look("Paused", "pause-circle-outline", "warning"),
    "off": Look("Off", "power", "muted"),
    "blocked": Look("No job can come", "alert-circle-outline", "danger"),
}
PAYS: dict[str, Look] = {
    # p2p.node.earnings.Pay: how far the pay of a job is
    "paid": Look("Paid", "check-decagram-outline", "success"),
    "in_review": Look("In review", "clock-check-outline", "warning"),
    "disputed": Look("Disputed", "scale-balance", "danger"),
    "waiting_for_signature": Look("Waits for signature", "draw-pen", "warning"),
    "running": Look("Estimate, runs now", "play-circle-outline", "accent"),
}
STEPS: dict[str, Look] = {
    # how far a step of the first run is
    "open": Look("To do", "circle-outline", "muted"),
    "current": Look("Now", "arrow-right-circle-outline", "accent"),
    "done": Look("Done", "check-circle-outline", "success"),
    "skipped": Look("Skipped", "debug-step-over", "muted"),
}
BADGES: dict[str, Look] = {
    "verified": Look("Verified", "shield-check-outline", "success"),
    "unverified": Look("Not verified", "shield-off-outline", "warning"),
}


class LinkState(Enum):
    """How a window stands with its agent."""

    STARTING = "starting"  # the window has just opened, or the agent is being started
    CONNECTED = "connected"  # it answered the last question
    RECONNECTING = "reconnecting"  # it did, but went away
    STOPPED = "stopped"  # it was stopped on purpose, and is not started again by itself
    FAILED = "failed"  # it could not be started


LINK_STATES: dict[str, Look] = {
    LinkState.STARTING.value: Look("Starting the agent", "timer-sand", "muted"),
    LinkState.CONNECTED.value: Look("Connected", "circle", "success"),
    LinkState.RECONNECTING.value: Look("Reconnecting", "sync", "warning"),
    LinkState.STOPPED.value: Look("Agent stopped", "stop-circle-outline", "muted"),
    LinkState.FAILED.value: Look("Not connected", "alert-circle-outline", "danger"),
}


def look(table: dict[str, Look], state: str) -> Look:
    """The look of a state with its word translated. A state that a newer agent knows and we don't shows its
    own name."""
    found = table.get(state)
    if found is None:
        return Look(state.replace("_", " ").capitalize(), "help-circle-outline", "muted")
    return Look(tr(found.word), found.icon, found.token)
