"""A small HTTP server for probes, Prometheus and status, beside a loop that must not wait for it."""

from lbsync.http.pages import JSON, METRICS, Answer, Page, Pages
from lbsync.http.server import HttpServer

__all__ = ["JSON", "METRICS", "Answer", "HttpServer", "Page", "Pages"]
