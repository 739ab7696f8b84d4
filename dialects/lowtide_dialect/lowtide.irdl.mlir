// The dialect in IRDL, printed from the operations here; irdl_text() gives the same text, and a test compares.
module {
  irdl.dialect @lowtide {
    irdl.operation @layer {
      %0 = irdl.any
      irdl.operands(destination: %0)
      %1 = irdl.base "#builtin.string" 
      %2 = irdl.base "#builtin.string" 
      irdl.attributes {"kind" = %1, "label" = %2}
      %3 = irdl.any
      irdl.results(made: %3)
      %4 = irdl.region
      irdl.regions(body: %4)
    }
    irdl.operation @yield {
      %0 = irdl.any
      irdl.operands(value: %0)
    }
    irdl.operation @fused {
      %0 = irdl.base "#builtin.string" 
      %1 = irdl.base "#builtin.integer" 
      %2 = irdl.base "#builtin.integer" 
      %3 = irdl.base "#builtin.array" 
      %4 = irdl.base "#builtin.string" 
      irdl.attributes {"axis" = %0, "rows" = %1, "columns" = %2, "recompute" = %3, "direction" = %4}
      %5 = irdl.any
      irdl.results(loop: %5)
      %6 = irdl.region
      irdl.regions(body: %6)
    }
    irdl.operation @output {
      %0 = irdl.any
      irdl.operands(loop: %0)
      %1 = irdl.base "#builtin.integer" 
      irdl.attributes {"layer" = %1}
      %2 = irdl.any
      irdl.results(value: %2)
    }
    irdl.operation @arena {
      %0 = irdl.base "#builtin.integer" 
      %1 = irdl.base "#builtin.integer" 
      %2 = irdl.base "#builtin.integer" 
      %3 = irdl.base "#builtin.array" 
      irdl.attributes {"bytes" = %0, "bound" = %1, "alignment" = %2, "buffers" = %3}
    }
    irdl.operation @allocate {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
    }
    irdl.operation @concat {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
      %3 = irdl.base "#builtin.array" 
      irdl.attributes {"copied" = %3}
    }
    irdl.operation @fuse_channels {
      %0 = irdl.base "!transform.any_op" 
      irdl.operands(chain: %0)
      %1 = irdl.base "#builtin.integer" 
      irdl.attributes {"slice" = %1}
      %2 = irdl.base "!transform.any_op" 
      irdl.results(loop: %2)
    }
    irdl.operation @fuse_spatial {
      %0 = irdl.base "!transform.any_op" 
      irdl.operands(chain: %0)
      %1 = irdl.base "#builtin.integer" 
      irdl.attributes {"rows" = %1}
      %2 = irdl.base "!transform.any_op" 
      irdl.results(loop: %2)
    }
    irdl.operation @kernel {
      %0 = irdl.base "!transform.any_op" 
      irdl.operands(layers: %0)
      %1 = irdl.base "#builtin.string" 
      irdl.attributes {"kernel" = %1}
    }
    irdl.operation @layers {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
      %3 = irdl.base "!transform.any_op" 
      irdl.results(layers: %3)
    }
    irdl.operation @schedule {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
      %3 = irdl.base "#builtin.array" 
      irdl.attributes {"order" = %3}
    }
    irdl.operation @stream {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
      %3 = irdl.base "#builtin.array" 
      irdl.attributes {"inputs" = %3}
    }
  }
}
