// lowtide.allocate notes the strategy on the module around its target: see dialects/lowtide_dialect/allocate.md.
// RUN: lowtide-opt %s --split-input-file | FileCheck %s

// CHECK: module attributes {lowtide.strategy = "first-fit", transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {strategy = "first-fit"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
// The target may be any operation inside the module.
// CHECK: module attributes {lowtide.strategy = "auto", transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %inside = transform.structured.match ops{["func.return"]} in %module : (!transform.any_op) -> !transform.op<"func.return">
    "lowtide.allocate"(%inside) {strategy = "auto"} : (!transform.op<"func.return">) -> ()
    transform.yield
  }
}
