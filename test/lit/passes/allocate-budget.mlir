// A script says how the arena is allocated: without overlap, and in how many bytes it must fit. So do the pass's options.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise -o %t.normalised
// RUN: lowtide-opt %t.normalised --transform-script=%s --lowtide-outline -o %t
// RUN: lowtide-opt %t --lowtide-allocate | FileCheck %s
// RUN: lowtide-opt %t --lowtide-allocate="overlap=1 budget=44" | FileCheck %s --check-prefix=OPTIONS
// RUN: not lowtide-opt %t --lowtide-allocate=budget=63 2>&1 | FileCheck %s --check-prefix=PLAIN
// RUN: not lowtide-opt %t --lowtide-allocate="overlap=1 budget=43" 2>&1 | FileCheck %s --check-prefix=OVERLAP

// CHECK: lowtide.budget = 64
// CHECK-SAME: lowtide.overlap = false
// CHECK: "lowtide.arena"() {{.*}} bytes = 64 : i64, keep_input
// OPTIONS: "lowtide.arena"() {{.*}} bytes = 44 : i64, keep_input

// PLAIN: allocate at step 1 of 2, 'linalg.generic', where the arena is fullest (bytes: 32 of 'input_0', 32 of 'linalg.generic'):
// PLAIN-SAME: the arena takes 64 bytes, the budget gives 63, and no placement of these buffers takes less than 64
// PLAIN-NEXT: remedy: let buffers overlap, or take a plan with more layers fused {{.*}}, or give a budget of 64

// OVERLAP: allocate at step {{[12]}} of 2, {{.*}} 20 of them shared): the arena takes 44 bytes, the budget gives 43
// OVERLAP-NEXT: remedy: take {{.*}}, or give a budget of 44
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.allocate"(%module) {budget = 64 : i64, overlap = false, strategy = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}
