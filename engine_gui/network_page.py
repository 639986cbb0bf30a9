"""The network: its coordinator, this computer in it, what is on offer, and what goes back and forth."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QTabWidget

from engine_gui.account import Account
from engine_gui.network_model import (
    ASKING,
    OfferRow,
    PeerRow,
    WayRow,
    connection,
    offer_rows,
    said,
)
from gui_kit.boxes import Beside, Card, KeyValues
from gui_kit.buttons import CopyLabel
from gui_kit.labels import Label, StateLabel
from gui_kit.listing import Listing
from gui_kit.page import Page
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.words import tr
from p2p.core.errors import CyxWizError
from p2p.local.home import load_network_config

_OFFERS_EVERY_S = 5
_NETWORK_EVERY_S = 2
_CARD_PX = 320
_TABS_PX = 280


def offer_columns() -> tuple[Column[OfferRow], ...]:
    """What the table shows of an offer."""
    return (
        Column(tr("GPU"), lambda r: r.key, stretch=True),
        Column(tr("From"), lambda r: r.price, lambda r: r.usd_micros, numeric=True, width_px=120),
        Column(tr("Free / online"), lambda r: r.free_words, lambda r: r.free, numeric=True, width_px=136),
        Column(tr("Memory up to"), lambda r: r.memory, lambda r: r.memory_bytes, numeric=True, width_px=144),
    )


def way_columns() -> tuple[Column[WayRow], ...]:
    """What the table shows of the way to a job's node."""
    return (
        Column(tr("Way"), lambda r: r.look.word, look=lambda r: r.look, width_px=160),
        Column(tr("Job"), lambda r: r.job, stretch=True),
        Column(tr("Node"), lambda r: r.node, width_px=144),
        Column(tr("Sent"), lambda r: r.up, lambda r: r.up_bytes, numeric=True, width_px=168),
        Column(tr("Received"), lambda r: r.down, lambda r: r.down_bytes, numeric=True, width_px=168),
    )


def peer_columns() -> tuple[Column[PeerRow], ...]:
    """What the table shows of a peer."""
    return (
        Column(tr("Role"), lambda r: r.role, width_px=160),
        Column(tr("Address"), lambda r: r.host, width_px=200),
        Column(tr("Id"), lambda r: r.key, stretch=True),
    )


class NetworkPage(Page):
    """Live."""

    def __init__(self, account: Account) -> None:
        super().__init__(tr("Network"), "lan", scrolls=True)
        self._account = account
        self.coordinator = StateLabel(said(ASKING))
        self._cluster, self._since = Label("", selectable=True), Label("", selectable=True)
        self._address = CopyLabel("", tr("the address of the coordinator"))
        self._peer = CopyLabel("", tr("the id of this computer"))
        self._reached = Label("", wrap=True, selectable=True)
        self._up, self._down = Label("", selectable=True), Label("", selectable=True)
        self._problem = Label("", "problem", wrap=True)
        self._problem.hide()
        self.offers = Listing(
            Table[OfferRow](tr("On offer"), offer_columns(), sort_by=1), tr("Asking what is on offer")
        )
        self.ways = Listing(
            Table[WayRow](tr("Jobs"), way_columns(), sort_by=1), tr("Looking for connections")
        )
        self.peers = Listing(Table[PeerRow](tr("Peers"), peer_columns()), tr("Looking for peers"))
        self._lay_out()
        link = account.frame.link
        self._offers_feed = link.poll(self, "offers", every_s=_OFFERS_EVERY_S)
        self._offers_feed.item.connect(self._show_offers)
        self._offers_feed.failed.connect(lambda error: self.offers.warn("\n".join(error.lines())))
        self._network_feed = link.poll(self, "network", every_s=_NETWORK_EVERY_S)
        self._network_feed.item.connect(self._show)
        self._network_feed.failed.connect(lambda error: self.show_error(error, self.reload))
        self.show_loading(tr("Looking at the network"))
        self._show_network()

    def _lay_out(self) -> None:
        network = Card(
            tr("Network"),
            KeyValues(
                (tr("Name"), self._cluster), (tr("Coordinator"), self.coordinator),
                (tr("Since"), self._since), (tr("Its address"), self._address),
            ),
            self._problem,
        )  # fmt: skip
        here = Card(
            tr("This computer"),
            KeyValues(
                (tr("Its id"), self._peer), (tr("Reached at"), self._reached), (tr("Sent"), self._up),
                (tr("Received"), self._down),
            ),
        )  # fmt: skip
        for card in (network, here):
            card.body.addStretch(1)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setMinimumHeight(_TABS_PX)
        self.tabs.setAccessibleName(tr("Parts of the network"))
        if (bar := self.tabs.tabBar()) is not None:
            bar.setAccessibleName(tr("Parts of the network"))
            bar.setDrawBase(False)
        for part, title in (
            (self.offers, tr("On offer")),
            (self.ways, tr("To the nodes of jobs")),
            (self.peers, tr("Peers")),
        ):
            self.tabs.addTab(part, title)
        self.body.addWidget(Beside(network, here, narrowest_px=_CARD_PX))
        self.body.addWidget(self.tabs, 1)

    def reload(self) -> None:
        self._show_network()
        self._offers_feed.refresh()
        self._network_feed.refresh()

    def _show_network(self) -> None:
        try:
            config = load_network_config(self._account.home)
        except CyxWizError as error:
            self._cluster.setText(error.what)
            return
        self._cluster.setText(str(config.chain.get("cluster", "")))
        self._address.set_text(config.coordinator_address)

    def _show(self, answer: dict[str, Any]) -> None:
        found = connection(answer)
        self.coordinator.set_look(found.coordinator)
        self._since.setText(found.since)
        self._problem.setText(found.problem)
        self._problem.setVisible(bool(found.problem))
        self._peer.set_text(found.peer_id)
        self._reached.setText(found.addresses)
        self._up.setText(found.up)
        self._down.setText(found.down)
        self.ways.table.set_rows(found.ways)
        self.ways.say("" if found.ways else tr("No job is under way."))
        self.peers.table.set_rows(found.peers)
        self.peers.say("" if found.peers else tr("Nobody is connected."))
        self.show_content()

    def _show_offers(self, answer: list[dict[str, Any]]) -> None:
        self.offers.table.set_rows(offer_rows(answer))
        self.offers.say("" if answer else tr("Nobody offers a GPU just now. Jobs wait until somebody does."))
