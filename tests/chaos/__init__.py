"""Random writers and faults against one running host, judged by the contract alone."""
