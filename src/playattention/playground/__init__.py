"""The playground page: a server of this machine's own, and the page that asks it."""

from playattention.playground.report import view

__all__ = ["view"]
