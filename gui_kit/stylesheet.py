"""The one style sheet, generated from tokens. Widgets choose a look by the dynamic property ``look``."""

from __future__ import annotations

from string import Template

from gui_kit.tokens import (
    BODY_PX,
    CONTROL_HEIGHT_PX,
    DISPLAY_PX,
    GRID_PX,
    HALF_PX,
    HEADING_PX,
    ICON_PX,
    MARGIN_PX,
    RADIUS_PX,
    SECTION_PX,
    SMALL_PX,
    TITLE_PX,
    Tokens,
)

_SHEET = Template("""
QWidget { color: $text; }
QMainWindow, QDialog, QStackedWidget, QScrollArea, #page, #content { background: $window; }
QScrollArea { border: none; }
QToolTip { background: $raised; color: $text; border: 1px solid $border; padding: ${half}px; }

QLabel { background: transparent; }
QLabel[look="muted"] { color: $muted; }
QLabel[look="small"] { color: $muted; font-size: ${small}px; }
QLabel[look="title"] { font-size: ${title}px; font-weight: 600; }
QLabel[look="heading"] { font-size: ${heading}px; font-weight: 600; }
QLabel[look="display"] { font-size: ${display}px; font-weight: 600; }
QLabel[look="problem"] { color: $danger; font-size: ${small}px; }
QLabel[token="accent"] { color: $accent; }
QLabel[token="success"] { color: $success; }
QLabel[token="warning"] { color: $warning; }
QLabel[token="danger"] { color: $danger; }
QLabel[token="muted"] { color: $muted; }

#rail { background: $surface; border-right: 1px solid $raised; }
#rail QScrollArea, #rail #content { background: $surface; }
#rail QToolButton { border: none; border-left: 3px solid transparent; border-radius: 0; text-align: left;
  min-height: ${control}px; padding: ${half}px ${margin}px; color: $muted; background: transparent; }
#rail QToolButton:hover { background: $raised; color: $text; }
#rail QToolButton:checked { background: $raised; color: $text; border-left-color: $accent; font-weight: 600; }
#rail QToolButton:focus { border: 2px solid $accent; padding: ${rail_focus}; }
#header { background: $window; }
#statusbar { background: $surface; border-top: 1px solid $raised; }
#strip { background: $warning; }
#strip QLabel { color: $on_fill; font-weight: 600; }
#banner { background: $raised; border-bottom: 1px solid $border; }

QFrame[look="card"] { background: $surface; border: 1px solid $raised; border-radius: ${radius}px; }
QFrame[look="fix"] { background: $raised; border-radius: ${radius}px; }
QFrame[look="line"] { background: $raised; border: none; max-height: 1px; min-height: 1px; }
QFrame[look="toast"] { background: $raised; border: 1px solid $border; border-radius: ${radius}px; }
QFrame[look="badge"] { background: $raised; border-radius: ${badge}px; }

QPushButton { background: $surface; border: 1px solid $border; border-radius: ${radius}px;
  min-height: ${inner}px; padding: 0 ${margin}px; }
QPushButton:hover { background: $raised; }
QPushButton:pressed { border-color: $accent; }
QPushButton:disabled { color: $muted; border-color: $raised; background: $raised; }
QPushButton[look="primary"] { background: $accent; border-color: $accent; color: $on_fill; font-weight: 600; }
QPushButton[look="primary"]:hover { border-color: $text; }
QPushButton[look="danger"] { background: $danger; border-color: $danger; color: $on_fill; font-weight: 600; }
QPushButton[look="danger"]:hover { border-color: $text; }
QPushButton[look="primary"]:disabled, QPushButton[look="danger"]:disabled {
  color: $muted; background: $raised; border-color: $raised; }
QPushButton:checked { background: $accent; border-color: $accent; color: $on_fill; font-weight: 600; }
QPushButton:focus { border: 2px solid $accent; }
QPushButton:checked:focus { border: 2px solid $text; }
QPushButton[look="primary"]:focus, QPushButton[look="danger"]:focus { border: 2px solid $text; }
QPushButton[look="flat"] { background: transparent; border-color: transparent; color: $accent;
  padding: 0 ${grid}px; }
QPushButton[look="flat"]:disabled { background: transparent; border-color: transparent; }
QPushButton[look="flat"]:hover { background: $raised; }
QPushButton[look="flat"]:focus { border: 2px solid $accent; }
QToolButton { background: transparent; border: 1px solid transparent; border-radius: ${radius}px;
  min-width: ${inner}px; min-height: ${inner}px; }
QToolButton:hover, QToolButton:checked { background: $raised; }
QToolButton:focus { border: 2px solid $accent; }

QLineEdit, QPlainTextEdit, QTextEdit, QComboBox, QAbstractSpinBox {
  background: $surface; border: 1px solid $border; border-radius: ${radius}px; min-height: ${inner}px;
  padding: 0 ${grid}px; selection-background-color: $accent; selection-color: $on_fill; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QComboBox:focus, QAbstractSpinBox:focus {
  border: 2px solid $accent; padding: 0 ${focus_pad}px; }
QLineEdit[bad="true"], QComboBox[bad="true"], QAbstractSpinBox[bad="true"], QPlainTextEdit[bad="true"] {
  border: 2px solid $danger; padding: 0 ${focus_pad}px; }
QLineEdit:disabled, QComboBox:disabled, QAbstractSpinBox:disabled { background: $raised; color: $muted; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $border; outline: none;
  selection-background-color: $accent; selection-color: $on_fill; }
QLineEdit QToolButton { border: none; min-width: 0; min-height: 0; }
QComboBox::drop-down { border: none; width: ${section}px; }
QComboBox::down-arrow { image: url("glyph:chevron-down-$shade.png"); width: ${icon}px; height: ${icon}px; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { border: none; background: transparent;
  width: ${section}px; }
QAbstractSpinBox::up-arrow { image: url("glyph:chevron-up-$shade.png"); width: ${icon}px; height: ${icon}px; }
QAbstractSpinBox::down-arrow { image: url("glyph:chevron-down-$shade.png"); width: ${icon}px;
  height: ${icon}px; }
QCheckBox, QRadioButton { spacing: ${grid}px; min-height: ${inner}px; }
QCheckBox::indicator, QRadioButton::indicator { width: ${icon}px; height: ${icon}px; background: $surface;
  border: 1px solid $border; }
QCheckBox::indicator { border-radius: ${half}px; }
QRadioButton::indicator { border-radius: ${round}px; }
QCheckBox::indicator:checked, QRadioButton::indicator:checked { background: $accent; border-color: $accent; }
QCheckBox::indicator:checked { image: url("glyph:check-$shade.png"); }
QRadioButton::indicator:checked { image: url("glyph:circle-medium-$shade.png"); }
QCheckBox::indicator:focus, QRadioButton::indicator:focus { border: 2px solid $accent; }
QCheckBox::indicator:checked:focus, QRadioButton::indicator:checked:focus { border: 2px solid $text; }

QTableView { background: $surface; border: 1px solid $raised; border-radius: ${radius}px; gridline-color:
$raised; selection-background-color: $raised; selection-color: $text; outline: none; }
QTableView:focus { border: 2px solid $accent; }
QTableView::item { padding: 0 ${grid}px; border-bottom: 1px solid $raised; }
QTableView::item:selected { background: $raised; color: $text; }
QHeaderView { background: $surface; border: none; }
QHeaderView::section { background: $surface; color: $muted; border: none; border-bottom: 1px solid $border;
  padding: ${half}px ${cell}px; font-size: ${small}px; font-weight: 600; }
QHeaderView::up-arrow { image: url("glyph:chevron-up-$shade.png"); width: ${icon}px; height: ${icon}px; }
QHeaderView::down-arrow { image: url("glyph:chevron-down-$shade.png"); width: ${icon}px; height: ${icon}px; }
QTabBar::tab { background: transparent; color: $muted; padding: ${grid}px ${margin}px;
  border-bottom: 3px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:focus { color: $accent; }
QTabWidget::pane { border: none; border-top: 1px solid $raised; }
QProgressBar { background: $raised; border: none; border-radius: 3px; min-height: 6px; max-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QMenu { background: $surface; border: 1px solid $border; padding: ${half}px; }
QMenu::item { padding: ${half}px ${margin}px; border-radius: ${half}px; }
QMenu::item:selected { background: $accent; color: $on_fill; }
#content[stale="true"] QLabel, #content[stale="true"] QTableView { color: $muted; }
QMenu::separator { height: 1px; background: $raised; margin: ${half}px; }
QScrollBar { background: transparent; border: none; }
QScrollBar:vertical { width: 12px; }
QScrollBar:horizontal { height: 12px; }
QScrollBar::handle { background: $border; border-radius: 4px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QSplitter::handle { background: $raised; }
#log, #plot { background: $surface; border: 1px solid $raised; border-radius: ${radius}px; }
#log:focus, #plot:focus { border: 2px solid $accent; }
""")


def stylesheet(tokens: Tokens) -> str:
    """The style sheet of a palette."""
    colours = {name: getattr(tokens, name) for name in Tokens.__slots__ if name != "dark"}
    return _SHEET.substitute(
        colours,
        half=HALF_PX,
        grid=GRID_PX,
        margin=MARGIN_PX,
        radius=RADIUS_PX,
        badge=10,
        control=CONTROL_HEIGHT_PX,
        inner=CONTROL_HEIGHT_PX - 2,
        section=SECTION_PX,
        icon=ICON_PX,
        round=ICON_PX // 2 + 1,
        shade="dark" if tokens.dark else "light",
        focus_pad=GRID_PX - 1,
        cell=GRID_PX + 3,  # what Fusion adds at the sides of a cell's text
        rail_focus=f"{HALF_PX - 2}px {MARGIN_PX - 2}px {HALF_PX - 2}px {MARGIN_PX + 1}px",
        small=SMALL_PX,
        body=BODY_PX,
        title=TITLE_PX,
        heading=HEADING_PX,
        display=DISPLAY_PX,
    )
