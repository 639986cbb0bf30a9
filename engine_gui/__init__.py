"""The buyer's window, `cyxwiz-engine-gui`: thin, over :mod:`gui_kit`; what it can do, `cyxwiz` can do."""
