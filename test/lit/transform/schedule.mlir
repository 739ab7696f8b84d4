// lowtide.schedule notes the order of layers on the module around its target: see dialects/lowtide_dialect/schedule.md.
// RUN: lowtide-opt %s | FileCheck %s

// CHECK: module attributes {lowtide.order = [2, 1, 3], transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.schedule"(%module) {order = [2, 1, 3]} : (!transform.any_op) -> ()
    transform.yield
  }
}
