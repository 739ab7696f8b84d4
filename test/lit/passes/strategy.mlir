// A transform script chooses the allocation strategy; the pass obeys the attribute that it leaves.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-normalise --lowtide-outline --lowtide-allocate | FileCheck %s
// RUN: not lowtide-opt %s --lowtide-normalise --lowtide-outline --lowtide-allocate=strategy=nonesuch 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// CHECK: lowtide.strategy = "first-fit"
// CHECK: "lowtide.arena"() {{.*}} bytes = 16 : i64, keep_input
// UNKNOWN: allocate: unknown allocation strategy 'nonesuch'
// UNKNOWN: remedy: choose one of {{.*}}first-fit
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {budget = 0 : i64, overlap = true, strategy = "first-fit"} : (!transform.any_op) -> ()
    transform.yield
  }
}
