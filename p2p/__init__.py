"""The CyxWiz peer: everything that an engine and a node share, and both of them."""
