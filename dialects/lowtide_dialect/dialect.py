"""The transform dialect `lowtide`; its operations join it by their class keyword `dialect=`."""

from lowtide.ir import Module, ext


class LowtideDialect(ext.Dialect, name="lowtide"):
    """Steps of a plan: what lowtide's search decides, as operations of a transform script."""

    @classmethod
    def definition(cls) -> Module:
        """The dialect in IRDL, from the operations' annotations; needs a current context."""
        return cls._emit_module()
