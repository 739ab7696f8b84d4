// MLIR's clean-up may go over a network that has been cut: scalars and empty tensors that it moves out of layers, or lets
// layers share, change nothing in the code.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline -o %t
// RUN: lowtide-opt %t --canonicalize --cse -o %t.cleaned
// RUN: FileCheck %s --input-file %t.cleaned
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels -o %t.code
// RUN: lowtide-opt %t.cleaned --lowtide-allocate --lowtide-kernels -o %t.cleaned.code
// RUN: diff %t.code %t.cleaned.code

// CHECK:      arith.constant -3 : i8
// CHECK:      %[[E:.*]] = tensor.empty() : tensor<1x4x4x2xi8>
// CHECK-NEXT: "lowtide.layer"(%[[E]])
// CHECK:      "lowtide.layer"(%[[E]])
