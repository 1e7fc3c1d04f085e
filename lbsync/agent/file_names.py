"""Names of the files in a generation that lbsync itself knows; templates may make any others."""

from lbsync.settings import outputs

MAIN_FILE = outputs.MAIN_FILE
CERTIFICATES = "certs"
"""Directory of the certificates that the agent brings from `[proxy] certificates`."""
HOST_MAP = "maps/host.map"
"""Whether this host drains. Changed in place, in whatever generation is live, so that a rollback
neither drains a host nor ends a drain; and so it does not count for the digest."""
ROUTES_MAP = "maps/routes.map"
BACKENDS_MAP = "maps/backends.map"
SPLITS_MAP = "maps/splits.map"
STICKY_MAP = "maps/sticky.map"
"""Which group a client's cookie leads to."""
CHECK_HOSTS_MAP = "maps/check_hosts.map"
"""Which host the health checks of a backend name."""
PREVIEWS_MAP = "maps/previews.map"
PREVIEWERS_MAP = "maps/previewers.map"
PREVIEW_HOSTS_MAP = "maps/preview_hosts.map"
"""Which groups may be asked for by name, by whom, and by which hosts."""
BACKEND_MAPS = frozenset({BACKENDS_MAP, PREVIEWS_MAP, STICKY_MAP})
"""Map files of the packaged templates whose values name backends."""
