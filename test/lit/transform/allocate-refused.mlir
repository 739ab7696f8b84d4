// What lowtide.allocate refuses: an unknown strategy, an empty handle, wrong types, wrong values.
// RUN: not lowtide-opt %s --split-input-file 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.allocate': unknown strategy 'nonesuch'; choose one of auto, {{.*}}first-fit
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
    // CHECK: error: 'lowtide.allocate': the handle is empty: there is no module to allocate
    "lowtide.allocate"(%none) : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.allocate': unknown strategy 3 : i64; choose one of auto
    "lowtide.allocate"(%module) {strategy = 3} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.allocate': overlap is true or false, not 1 : i64
    "lowtide.allocate"(%module) {overlap = 1 : i64} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.allocate': the budget is a number of bytes, not true
    "lowtide.allocate"(%module) {budget = true} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.allocate': a budget of -1 bytes; 1 or more are wanted, or 0 for none
    "lowtide.allocate"(%module) {budget = -1 : i64} : (!transform.any_op) -> ()
    transform.yield
  }
}
