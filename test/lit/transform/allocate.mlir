// lowtide.allocate notes on the module around its target how to allocate it: see dialects/lowtide_dialect/allocate.md.
// RUN: lowtide-opt %s --split-input-file | FileCheck %s

// CHECK: module attributes {lowtide.budget = 0 : i64, lowtide.overlap = true, lowtide.strategy = "first-fit", transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = true, strategy = "first-fit"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
// The target may be any operation inside the module.
// CHECK: module attributes {lowtide.budget = 0 : i64, lowtide.overlap = true, lowtide.strategy = "auto", transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %inside = transform.structured.match ops{["func.return"]} in %module : (!transform.any_op) -> !transform.op<"func.return">
    "lowtide.allocate"(%inside) {budget = 0 : i64, overlap = true, strategy = "auto"} : (!transform.op<"func.return">) -> ()
    transform.yield
  }
}

// -----
// What is said last holds.
// CHECK: module attributes {lowtide.budget = 512 : i64, lowtide.overlap = false, lowtide.strategy = "exact", transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = true, strategy = "auto"} : (!transform.any_op) -> ()
    "lowtide.allocate"(%module) {budget = 512 : i64, overlap = false, strategy = "exact"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
// What is left out stays as it was: the module's own note, or the allocator's default.
// CHECK: module attributes {lowtide.budget = 512 : i64, lowtide.strategy = "exact", transform.with_named_sequence}
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {strategy = "exact"} : (!transform.any_op) -> ()
    "lowtide.allocate"(%module) {budget = 512} : (!transform.any_op) -> ()
    "lowtide.allocate"(%module) : (!transform.any_op) -> ()
    transform.yield
  }
}
