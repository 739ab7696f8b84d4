module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    transform.alternatives %main : !transform.any_op {
    ^bb0(%scope: !transform.any_op):
      %all = "lowtide.layers"(%scope) : (!transform.any_op) -> !transform.any_op
      %loop = "lowtide.fuse_spatial"(%all) {rows = 1} : (!transform.any_op) -> !transform.any_op
    }, {
    ^bb0(%scope: !transform.any_op):
      %all = "lowtide.layers"(%scope) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
      %loop = "lowtide.fuse_spatial"(%all) {rows = 1} : (!transform.any_op) -> !transform.any_op
    }
    transform.yield
  }
}
