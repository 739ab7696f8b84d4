// lowtide.concat notes the parts to be copied on the module around its target: see dialects/lowtide_dialect/concat.md.
// RUN: lowtide-opt %s | FileCheck %s

// CHECK: module attributes {lowtide.copied = [3, 1], transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.concat"(%module) {copied = [3, 1]} : (!transform.any_op) -> ()
    transform.yield
  }
}
