"""The doors to HAProxy: its binary, its two sockets, its processes and its log.

Nothing here decides anything: what to apply, and what to do when it fails, is the agent's matter.
"""
