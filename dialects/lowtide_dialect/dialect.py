"""The dialect `lowtide`: its payload operations are `lowtide.payload`'s, the operations of scripts join it here."""

from lowtide.payload.operations import LowtideDialect

__all__ = ["LowtideDialect"]
