"""The seller's side: the agent that takes jobs and runs them, and its CLI ``cyxwiz-node``.

* :mod:`p2p.node.agent`: the process.
* :mod:`p2p.node.coordinator_link`: login, registration, heartbeats, reports.
* :mod:`p2p.node.jobs`: which jobs are held; :mod:`p2p.node.supervisor`: one job from assignment to cleanup.
* :mod:`p2p.node.staging`, :mod:`p2p.node.chunk_store`, :mod:`p2p.node.url_fetch`: the inputs.
* :mod:`p2p.node.spool`, :mod:`p2p.node.results`: logs and outputs.
* :mod:`p2p.node.serving`: who may have them.
* :mod:`p2p.node.client`: how its window talks to the agent, and starts it.
* :mod:`p2p.node.runner`: the only part that speaks to Docker.
"""
