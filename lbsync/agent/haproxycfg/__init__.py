"""Reading haproxy.cfg: words, sections, what they inherit, and our own rules for them. Pure."""
