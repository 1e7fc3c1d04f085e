"""From a directory of confd to settings and templates of lbsync."""
