// A transform script in a file of its own is applied to the payload, between passes as the command line says.
// RUN: lowtide-opt %s --transform-script=%S/Inputs/unroll.mlir --canonicalize | FileCheck %s
// RUN: not lowtide-opt %s --canonicalize --transform-script=%S/Inputs/nonesuch.mlir 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not lowtide-opt %s --transform-script=%s 2>&1 | FileCheck %s --check-prefix=NOSCRIPT

// CHECK-LABEL: @loop
// CHECK-NOT:   scf.for
// CHECK-COUNT-2: memref.store
// CHECK-NOT:   memref.store

// MISSING:  transform at {{.*}}nonesuch.mlir: cannot read the file: No such file or directory
// NOSCRIPT: transform at {{.*}}script-file.mlir: the script's module lacks the attribute 'transform.with_named_sequence'
func.func @loop(%m: memref<2xi8>, %v: i8) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  scf.for %i = %c0 to %c2 step %c1 {
    memref.store %v, %m[%i] : memref<2xi8>
  }
  return
}
