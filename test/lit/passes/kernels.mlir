// lowtide-kernels: loops clamped to the image in place of a padded copy, the accumulators of two channels in registers,
// no buffer else.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-allocate=overlap=0 --lowtide-kernels -o %t
// RUN: FileCheck %s --input-file %t
// RUN: FileCheck %s --check-prefix=NONE --input-file %t

// CHECK:      func.func private @conv_0(%[[X:.*]]: memref<1x4x4x2xi8>, %[[B:.*]]: memref<2xi32>, %[[Y:.*]]: memref<1x4x4x2xi8>) attributes {llvm.no_inline}
// CHECK:      %[[LOW:.*]] = arith.maxsi
// CHECK-NEXT: %[[HIGH:.*]] = arith.minsi
// CHECK:      %[[FIRST:.*]] = memref.load %[[B]]
// CHECK-NEXT: %[[SECOND:.*]] = memref.load %[[B]]
// CHECK:      scf.for %{{.*}} = %[[LOW]] to %[[HIGH]] step %{{.*}} iter_args(%{{.*}} = %[[FIRST]], %{{.*}} = %[[SECOND]])
// CHECK:      extract_aligned_pointer_as_index %[[X]]
// CHECK:      llvm.load
// CHECK:      arith.shrsi
// CHECK:      llvm.store
// CHECK-NOT:  llvm.load
// CHECK:      func.func @main

// NONE-NOT:   scf.if
// NONE-NOT:   memref.alloc
// NONE-NOT:   memref<{{[0-9x]*}}x{{[0-9]+}}x2xi32>
// NONE-NOT:   lowtide.layer
