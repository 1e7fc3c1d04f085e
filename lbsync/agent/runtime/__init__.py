"""Changing a running HAProxy without a reload: what runs, what to do, doing it, looking again.

`model` knows what runs, `plan` compares it with what is wanted and answers with steps or with the
reason for a reload, `execute` runs the steps over the runtime API, `removal` sees removed servers
off, `compare` reads everything back. Only `execute` and `removal` talk to HAProxy.
"""
