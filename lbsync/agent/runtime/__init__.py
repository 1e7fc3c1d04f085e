"""Changes a running HAProxy without a reload.

`model` knows what runs; `plan` compares it with the desired state and returns steps, or the reason for a
reload; `execute` makes the steps over the runtime API; `retired` deletes removed servers and backends once
they are idle; `observe` reads everything back, and `drift` compares it. `deltas` do the same for single
services.
"""
