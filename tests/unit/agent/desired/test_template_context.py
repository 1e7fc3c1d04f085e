"""What the settings say of outputs reaches the renderer."""

from pathlib import Path

from lbsync.agent.desired import template_context
from lbsync.settings import load

SETTINGS = """[templates]
directory = "mine"
packaged = false
[[outputs]]
template = "haproxy.cfg.j2"
path = "haproxy.cfg"
quote = "haproxy"
left = "<<"
right = ">>"
block_left = "<%"
block_right = "%>"
comment_left = "<#"
comment_right = "#>"
"""
TEMPLATE = """<# a comment #>
<% for name in ls("/svc") %>
    log-format '{"t":"%{+Q}[var(txn.a)]","s":{%ST},"h":{#hid},"n":{{"<< name >>"}}}'
<% endfor %>
"""


def test_a_log_format_in_json_needs_no_escapes_where_all_delimiters_are_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/haproxy.cfg.j2").write_text(TEMPLATE)
    (tmp_path / "lbsync.toml").write_text(SETTINGS)
    renderer = template_context.make_renderer(load(tmp_path / "lbsync.toml", environ={}))

    files = renderer.render({}, {"svc/a": b""})

    assert files["haproxy.cfg"].decode() == (
        """    log-format '{"t":"%{+Q}[var(txn.a)]","s":{%ST},"h":{#hid},"n":{{"a"}}}'\n"""
    )
