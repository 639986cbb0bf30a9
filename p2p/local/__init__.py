"""RPC between an agent and its windows and CLIs on the same machine, and what every CLI shares.

* :class:`p2p.local.server.LocalServer`: the agent's side.
* :class:`p2p.local.client.LocalClient`: the window's or CLI's side.
* :mod:`p2p.local.starting`: starts an agent that does not run.
* :mod:`p2p.local.platform`: the seam behind which operating systems differ.
* :mod:`p2p.local.home`: which home this process belongs to.
* :mod:`p2p.local.cli`: errors, tables and JSON on a terminal.
"""
