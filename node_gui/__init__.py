"""The seller's window, `cyxwiz-node-gui`: thin, over :mod:`gui_kit`; what it can do, `cyxwiz-node` can do."""
