"""The buyer's side: an agent that packages, funds, serves, follows, fetches and verifies jobs, and its CLI.

* :mod:`p2p.engine.agent`: the agent's process; every job has a supervisor (:mod:`p2p.engine.supervisor`).
* :mod:`p2p.engine.client`: how windows and the CLI talk to it, and start it.
* :mod:`p2p.engine.commands`: the one list of what can be asked of it.
* :mod:`p2p.engine.cli`: ``cyxwiz``.
"""
