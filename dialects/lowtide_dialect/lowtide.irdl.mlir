// The dialect in IRDL, printed from the operations here; irdl_text() gives the same text, and a test compares.
module {
  irdl.dialect @lowtide {
    irdl.operation @allocate {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
      %3 = irdl.base "#builtin.string" 
      %4 = irdl.base "#builtin.integer" 
      %5 = irdl.base "#builtin.integer" 
      irdl.attributes {"strategy" = %3, "overlap" = %4, "budget" = %5}
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
      %1 = irdl.base "#builtin.array" 
      %2 = irdl.base "#builtin.string" 
      %3 = irdl.base "#builtin.integer" 
      %4 = irdl.base "#builtin.integer" 
      %5 = irdl.base "#builtin.string" 
      irdl.attributes {"again" = %1, "halo" = %2, "rows" = %3, "columns" = %4, "direction" = %5}
      %6 = irdl.base "!transform.any_op" 
      irdl.results(loop: %6)
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
      %3 = irdl.base "#builtin.array" 
      irdl.attributes {"numbers" = %3}
      %4 = irdl.base "!transform.any_op" 
      irdl.results(layers: %4)
    }
    irdl.operation @schedule {
      %0 = irdl.base "!transform.any_op" 
      %1 = irdl.base "!transform.op" 
      %2 = irdl.any_of(%0, %1) 
      irdl.operands(target: %2)
      %3 = irdl.base "#builtin.array" 
      irdl.attributes {"order" = %3}
    }
  }
}
