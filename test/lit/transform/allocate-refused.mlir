// What lowtide.allocate refuses: an unknown strategy, an empty handle, a missing attribute, a wrong type.
// RUN: not lowtide-opt %s --split-input-file 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:10:5: error: 'lowtide.allocate': unknown strategy 'nonesuch'; choose one of auto, {{.*}}first-fit
    "lowtide.allocate"(%module) {strategy = "nonesuch"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %none = transform.structured.match ops{["scf.for"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: allocate-refused.mlir:23:5: error: 'lowtide.allocate': the handle is empty
    "lowtide.allocate"(%none) {strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:35:5: error: 'lowtide.allocate' op attribute "strategy" is expected but not provided
    "lowtide.allocate"(%module) : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:47:5: error: expected base attribute 'builtin.string' but got 'builtin.integer'
    "lowtide.allocate"(%module) {strategy = 3} : (!transform.any_op) -> ()
    transform.yield
  }
}
