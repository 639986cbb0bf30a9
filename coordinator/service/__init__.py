"""What the coordinator does: RPC handlers, dispatcher, sweeps, settler, reconciler."""
