"""The file source: the same keys as in etcd, kept as files. No server needed.

`file:PATH` is a directory (`tree`) or a single YAML or JSON file (`document`). What lies on top:

    contents           text to values; writing a file in one step
    tree, document     keys to files and back
    history            revisions for a store that has none
    notices            watchdog: "something may have changed"
    source             `lbsync.clients.source.Source` on top of these
"""
