// What no layer can be of a loop is refused by name; what a loop of MLIR's own can't take part in is in stock-declined.mlir.
// RUN: not lowtide-opt %s --split-input-file --lowtide-outline --lowtide-allocate 2>&1 | FileCheck %s
// RUN: not lowtide-opt %s --split-input-file --lowtide-normalise 2>&1 | FileCheck %s --check-prefix=MODEL

// In a model, which anybody can have written, there is no loop.
// MODEL: lowtide-opt: normalise at 'scf.for' (scf.for): no kernel takes 'scf.for'

// CHECK:      lowtide-opt: loops at 'scf.for' (scf.for): a part of it needs a buffer of type 'memref<?x6xf32>', whose size is known only when it runs
// CHECK-NEXT: remedy: choose tile sizes that divide the loops, or peel the loop or pad its slices
module {
  func.func @main(%x: tensor<8x6xf32>) -> tensor<8x6xf32> {
    %c0 = arith.constant 0 : index
    %c8 = arith.constant 8 : index
    %c3 = arith.constant 3 : index
    %e = tensor.empty() : tensor<8x6xf32>
    %0 = scf.for %i = %c0 to %c8 step %c3 iter_args(%y = %e) -> (tensor<8x6xf32>) {
      %rest = arith.subi %c8, %i : index
      %n = arith.remui %rest, %c3 : index
      %s = tensor.extract_slice %x[%i, 0] [%n, 6] [1, 1] : tensor<8x6xf32> to tensor<?x6xf32>
      %t = tensor.empty(%n) : tensor<?x6xf32>
      %1 = linalg.exp ins(%s : tensor<?x6xf32>) outs(%t : tensor<?x6xf32>) -> tensor<?x6xf32>
      %o = tensor.extract_slice %y[%i, 0] [%n, 6] [1, 1] : tensor<8x6xf32> to tensor<?x6xf32>
      %2 = linalg.add ins(%1, %1 : tensor<?x6xf32>, tensor<?x6xf32>) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
      %3 = tensor.insert_slice %2 into %y[%i, 0] [%n, 6] [1, 1] : tensor<?x6xf32> into tensor<8x6xf32>
      scf.yield %3 : tensor<8x6xf32>
    }
    return %0 : tensor<8x6xf32>
  }
}

// -----

// CHECK:      lowtide-opt: outline at 'scf.for' (scf.for): the loop gives 2 tensors, a layer gives one
// CHECK-NEXT: remedy: fuse into the loop only what it alone needs
module {
  func.func @main(%x: tensor<8x6xf32>) -> (tensor<8x6xf32>, tensor<8x6xf32>) {
    %c0 = arith.constant 0 : index
    %c8 = arith.constant 8 : index
    %e = tensor.empty() : tensor<8x6xf32>
    %0:2 = scf.for %i = %c0 to %c8 step %c8 iter_args(%y = %e, %z = %e) -> (tensor<8x6xf32>, tensor<8x6xf32>) {
      %1 = linalg.exp ins(%x : tensor<8x6xf32>) outs(%y : tensor<8x6xf32>) -> tensor<8x6xf32>
      %2 = linalg.abs ins(%x : tensor<8x6xf32>) outs(%z : tensor<8x6xf32>) -> tensor<8x6xf32>
      scf.yield %1, %2 : tensor<8x6xf32>, tensor<8x6xf32>
    }
    return %0#0, %0#1 : tensor<8x6xf32>, tensor<8x6xf32>
  }
}
