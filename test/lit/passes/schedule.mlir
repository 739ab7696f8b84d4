// lowtide-schedule=order=… moves layers into the order, each with its own tensor; without the option nothing moves.
// RUN: lowtide-opt %s --lowtide-outline --lowtide-schedule=order=2,1,3 | FileCheck %s
// RUN: lowtide-opt %s --lowtide-outline --lowtide-schedule | FileCheck %s --check-prefix=SAME
// RUN: not lowtide-opt %s --lowtide-outline --lowtide-schedule=order=1,2 2>&1 | FileCheck %s --check-prefix=SHORT
// RUN: not lowtide-opt %s --lowtide-outline --lowtide-schedule=order=3,1,2 2>&1 | FileCheck %s --check-prefix=EARLY

// CHECK:      func.func @main
// CHECK-NEXT: %[[E:.*]] = tensor.empty
// CHECK-NEXT: %[[B:.*]] = "lowtide.layer"(%[[E]])
// CHECK:      linalg.abs
// CHECK:      }) {kind = "map"
// CHECK-NEXT: %[[F:.*]] = tensor.empty
// CHECK-NEXT: %[[A:.*]] = "lowtide.layer"(%[[F]])
// CHECK:      linalg.exp
// CHECK:      }) {kind = "map"
// CHECK-NEXT: tensor.empty
// CHECK-NEXT: "lowtide.layer"
// CHECK:      linalg.add ins(%[[A]], %[[B]] :

// SAME:       linalg.exp
// SAME:       linalg.abs
// SAME:       linalg.add
// SHORT:      schedule at [1, 2]: the order is not one of the network's 3 layers
// EARLY:      schedule at 'linalg.add': layer 3 comes before layer 1, which it needs
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %b = linalg.abs ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %c = linalg.add ins(%a, %b : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
