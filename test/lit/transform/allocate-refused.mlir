// What lowtide.allocate refuses: an unknown strategy, an empty handle, missing attributes (of several MLIR names any), wrong types, wrong values.
// RUN: not lowtide-opt %s --split-input-file 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:10:5: error: 'lowtide.allocate': unknown strategy 'nonesuch'; choose one of auto, {{.*}}first-fit
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = true, strategy = "nonesuch"} : (!transform.any_op) -> ()
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
    "lowtide.allocate"(%none) {budget = 0 : i64, overlap = true, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:35:5: error: 'lowtide.allocate' op attribute "{{budget|overlap|strategy}}" is expected but not provided
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
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = true, strategy = 3} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:59:5: error: 'lowtide.allocate' op attribute "budget" is expected but not provided
    "lowtide.allocate"(%module) {overlap = true, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:71:5: error: 'lowtide.allocate' op attribute "overlap" is expected but not provided
    "lowtide.allocate"(%module) {budget = 0 : i64, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:83:5: error: 'lowtide.allocate': overlap is true or false, not 1 : i64
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = 1 : i64, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:95:5: error: 'lowtide.allocate': the budget is a number of bytes, not true
    "lowtide.allocate"(%module) {budget = true, overlap = true, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: allocate-refused.mlir:107:5: error: 'lowtide.allocate': a budget of -1 bytes; 1 or more are wanted, or 0 for none
    "lowtide.allocate"(%module) {budget = -1 : i64, overlap = true, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}
