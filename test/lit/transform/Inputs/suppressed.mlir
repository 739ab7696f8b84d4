module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    transform.sequence %module : !transform.any_op failures(suppress) {
    ^bb0(%inner: !transform.any_op):
      %all = "lowtide.layers"(%inner) : (!transform.any_op) -> !transform.any_op
      %loop = "lowtide.fuse_spatial"(%all) {rows = 1} : (!transform.any_op) -> !transform.any_op
    }
    %last = "lowtide.layers"(%module) {numbers = [3, 4]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%last) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
