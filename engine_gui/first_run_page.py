"""The first steps in the window: network, wallet, money, a sample job; each can be skipped and taken up
again."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QWidget

from engine_gui.account import CLI, Account
from engine_gui.deposit_form import DepositForm
from engine_gui.first_run import Facts, FirstRun, Step, StepState, facts
from engine_gui.first_run_steps import NetworkStep, SampleStep
from engine_gui.wallet_model import NO_LOGIN
from gui_kit.boxes import Card, column, row
from gui_kit.buttons import Button
from gui_kit.connect_wallet import ConnectWallet
from gui_kit.icons import icon
from gui_kit.labels import Label
from gui_kit.look import set_look
from gui_kit.page import Page
from gui_kit.states import Look
from gui_kit.tokens import GRID_PX, MARGIN_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError

KEPT = "first_run"
_EVERY_S = 3

_TITLES = {
    Step.NETWORK: ("Network", "Choose the network"),
    Step.WALLET: ("Wallet", "Connect your wallet"),
    Step.DEPOSIT: ("Deposit", "Put money into escrow"),
    Step.SAMPLE: ("Sample job", "Run a sample job"),
}
_WHY = {
    Step.NETWORK: "Where your jobs find their nodes, and in whose coins they are paid.",
    Step.WALLET: "It proves who you are and signs when money moves. Your key stays with you.",
    Step.DEPOSIT: "Jobs are paid from a balance that a program on the chain holds for you. Only you can "
    "take it out again.",
    Step.SAMPLE: "To see a whole job once: sent, run, verified and paid.",
}
_LOOKS = {
    StepState.DONE: Look("Done", "check-circle-outline", "success"),
    StepState.SKIPPED: Look("Skipped", "debug-step-over", "muted"),
    StepState.OPEN: Look("To do", "circle-outline", "accent"),
    StepState.LOCKED: Look("Later", "lock-outline", "muted"),
}


class FirstRunPage(Page):
    """One step at a time."""

    def __init__(self, account: Account) -> None:
        self.leave = Button(tr("Leave the first steps"))
        super().__init__(tr("First steps"), "rocket-launch-outline", action=self.leave, scrolls=True)
        self._account = account
        self.run = FirstRun.load(account.preferences.get(KEPT))
        self.known = Facts(has_network=account.home.config.exists())
        self._balance: dict[str, Any] | None = None
        self._jobs: list[dict[str, Any]] = []
        self.network = NetworkStep(account)
        self.wallet = ConnectWallet(account.home, CLI)
        self.deposit = DepositForm(account, self._look_again)
        self.sample = SampleStep(account, lambda: self._balance)
        self.skip, self.next = Button(tr("Skip this step"), "flat"), Button(tr("Go on"), "primary")
        self.step_buttons = {step: Button(tr(_TITLES[step][0])) for step in Step}
        self._lay_out()
        self._wire()
        self._show()

    def _lay_out(self) -> None:
        self._title, self._why = Label("", "heading"), Label("", "muted", wrap=True)
        self._note = Label("", wrap=True)
        self._contents: dict[Step, QWidget] = {
            Step.NETWORK: self.network,
            Step.WALLET: self.wallet,
            Step.DEPOSIT: self.deposit,
            Step.SAMPLE: self.sample,
        }
        steps = QWidget()
        steps.setLayout(row(*self.step_buttons.values(), None, spacing_px=GRID_PX))
        self.body.addWidget(steps)
        texts = column(self._title, self._why, self._note, spacing_px=GRID_PX)
        buttons = row(self.next, self.skip, None, spacing_px=MARGIN_PX)
        card = Card("", column(texts, *self._contents.values(), buttons, spacing_px=MARGIN_PX))
        self.body.addWidget(card)
        self.body.addStretch(1)

    def _wire(self) -> None:
        self.leave.clicked.connect(self._leave)
        self.skip.clicked.connect(self._skip)
        self.next.clicked.connect(self._go_on)
        for step, button in self.step_buttons.items():
            button.clicked.connect(lambda _=False, step=step: self._change(self.run.go_to(step)))
        self.network.joined.connect(self._look_again)
        self.wallet.connected.connect(lambda _: self._account.changes.money.emit())
        self.sample.sent.connect(self._sent)
        link = self._account.frame.link
        self._balances = link.poll(self, "wallet_balance", every_s=_EVERY_S)
        self._balances.item.connect(self._take_balance)
        self._balances.failed.connect(self._no_balance)
        jobs = link.poll(self, "jobs", every_s=_EVERY_S)
        jobs.item.connect(self._take_jobs)
        self._account.changes.money.connect(self._look_again)

    def reload(self) -> None:
        self._look_again()

    # -- what there is

    def _look_again(self) -> None:
        self._balances.refresh()
        self._learn()

    def _take_balance(self, answer: dict[str, Any]) -> None:
        self._balance = answer
        self._learn()

    def _no_balance(self, error: CyxWizError) -> None:
        if error.code == NO_LOGIN:
            self._balance = None
            self._learn()

    def _take_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self._jobs = jobs
        self._learn()

    def _learn(self) -> None:
        known = facts(self._account.home.config.exists(), self._balance, self._jobs)
        if known != self.known:
            before, self.known = self.run.current(self.known), known
            if before is not None and known.is_done(before):
                self.run = self.run.go_on()
            self._show()

    # -- what the person does

    def _change(self, run: FirstRun) -> None:
        self.run = run
        self._account.preferences.set(KEPT, run.dump())
        self._show()

    def _skip(self) -> None:
        step = self.run.current(self.known)
        if step is not None:
            self._change(self.run.skip(step))

    def _go_on(self) -> None:
        if self.run.current(self.known) is None:
            self._leave()
        else:
            self._change(self.run.go_on())

    def _leave(self) -> None:
        self._change(self.run.leave())
        self._account.frame.back()

    def _sent(self, job_id: str) -> None:
        self._change(self.run.leave())
        self._account.open_job(job_id)

    # -- what is shown

    def _show(self) -> None:
        step = self.run.current(self.known)
        for each, button in self.step_buttons.items():
            found = _LOOKS[self.run.state(each, self.known)]
            name = tr(_TITLES[each][0])
            set_look(button, look="primary" if each is step else "plain")
            button.setIcon(icon(found.icon, "on_fill" if each is step else found.token))
            button.setAccessibleName(tr("{step}: {state}", step=name, state=tr(found.word)))
        if step is None:
            self._show_end()
            return
        state, missing = self.run.state(step, self.known), self.run.missing(step, self.known)
        number = list(Step).index(step)
        self._title.setText(tr("{number} of 4 · {title}", number=number + 1, title=tr(_TITLES[step][1])))
        self._why.setText(tr(_WHY[step]))
        self._note.setText(self._note_of(step, state, missing))
        self._note.setVisible(bool(self._note.text()))
        done = state is StepState.DONE
        again = step in (Step.DEPOSIT, Step.SAMPLE)
        self._show_content(step if missing is None and (again or not done) else None)
        self.next.setVisible(done)
        self._name_next(tr("Go on"))
        self.skip.setVisible(not done)

    def _note_of(self, step: Step, state: StepState, missing: Step | None) -> str:
        if state is StepState.DONE:
            return {
                Step.NETWORK: tr("This computer belongs to a network."),
                Step.WALLET: tr("Your wallet is connected. The wallet's page can switch it."),
                Step.DEPOSIT: tr("There is money in escrow. You can add to it."),
                Step.SAMPLE: tr("You have sent a job. You can send the sample again."),
            }[step]
        if missing is not None:
            return tr("This needs another step first: {step}.", step=tr(_TITLES[missing][0]))
        return ""

    def _show_content(self, shown: Step | None) -> None:
        for step, content in self._contents.items():
            content.setVisible(step is shown)

    def _show_end(self) -> None:
        skipped = [
            tr(_TITLES[step][0]) for step in Step if self.run.state(step, self.known) is StepState.SKIPPED
        ]
        self._title.setText(tr("That is all"))
        self._why.setText(tr("The settings lead here again."))
        self._note.setText(
            tr("Skipped: {steps}. Choose one above to take it up again.", steps=", ".join(skipped))
            if skipped
            else tr("Everything is set up: send a job of your own whenever you like.")
        )
        self._note.show()
        self._show_content(None)
        self.skip.hide()
        self.next.show()
        self._name_next(tr("Done"))

    def _name_next(self, word: str) -> None:
        self.next.setText(word)
        self.next.setAccessibleName(word)
