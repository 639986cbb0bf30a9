"""The building blocks of both windows. ``python -m gui_kit.gallery`` shows them.

How a page is made::

    class OffersPage(Page):
        def __init__(self, frame: Frame) -> None:
            super().__init__(tr("Offers"), "server-network", action=Button(tr("New job"), "primary", "plus"))
            self._table = Table(tr("Offers"), (
                Column(tr("GPU"), lambda row: row.gpu_class, stretch=True),
                Column(tr("Free"), lambda row: str(row.free), lambda row: row.free, numeric=True),
            ))
            self.body.addWidget(self._table, 1)
            self.show_loading(tr("Loading offers"))              # seen only if it takes longer than 300 ms
            self._feed = frame.link.poll(self, "offers", every_s=5)  # asked while the page is to be seen
            self._feed.item.connect(self._show)                  # only when the answer is another one
            self._feed.failed.connect(lambda error: self.show_error(error, self.reload))

        def reload(self) -> None:                                # opened, F5, agent came back
            self._feed.refresh()

        def _show(self, offers: list[dict[str, Any]]) -> None:
            self._table.set_rows([offer_row(offer) for offer in offers])  # frozen dataclasses with a `key`
            self.show_content() if offers else self.show_empty(tr("Nobody offers a GPU just now."))

    frame.add_section(OffersPage(frame))                  # in the rail; frame.open_page(page) goes deeper

* Ask once: ``link.call(self, "cancel", job=key).then(self._done, self._failed)``. Follow a stream:
  ``link.follow(self, "watch", job=key)``, with ``every=True`` where no item may be left out. All of it
  ends with its receiver, waits for an agent that is being started, and goes on after one that was
  restarted.
* Text from anywhere goes into :mod:`gui_kit.labels` (plain, cleaned); literals through ``tr("…{name}",
  name=…)``.
* States, badges and checks have their word, icon and colour in :mod:`gui_kit.states`. Colours, distances
  and sizes are in :mod:`gui_kit.tokens`; icons by name in :mod:`gui_kit.icons`. No other module names any.
* Boxes: ``column(a, b)``, ``row(a, None, b)`` (None stretches), ``Beside(a, b, …)``, ``Card``, ``KeyValues``;
  forms: ``TextField`` and ``Field`` with the problem beside the field; ``Money``, ``CopyLabel``, ``QrCode``,
  ``Badge``, ``StateLabel``, ``Progress``; logs: ``LogView`` with ``LogFeed``; plots:
  ``PlotView``.
* What a wallet signs: ``sign(self, Signer(home.root, "p2p.engine.cli", kind), WalletAct(…), self._done)``
  of :mod:`gui_kit.wallet_dialog`, which runs the command line's own command as a :class:`Child`; the words
  of a new wallet: ``PhraseDialog``; the form that connects one: ``ConnectWallet``.
* News: ``frame.toasts.show(text)``. A question before money or destruction: ``ask(self, …, yes=…,
  then=…)``.
* Tests: ``tests/gui`` has an ``agent`` that answers what the test says over a real socket, a ``link`` to
  it, and ``mode`` for both palettes; ``audit.problems(window) == []`` checks names, Tab order, cut text
  and contrast.
"""
