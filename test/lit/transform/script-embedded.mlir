// A module's own @__transform_main is applied when nothing else is asked for, or where --transform-interpreter stands.
// RUN: lowtide-opt %s | FileCheck %s
// RUN: lowtide-opt %s --transform-interpreter | FileCheck %s
// RUN: lowtide-opt %s --symbol-dce | FileCheck %s --check-prefix=LEFT

// CHECK: module attributes {lowtide.budget = 0 : i64, lowtide.overlap = true, lowtide.strategy = "auto", transform.with_named_sequence}
// LEFT:  module attributes {transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = true, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}
