// Bad IR gives MLIR's own diagnostics with their places, part by part, and a failure at the end.
// RUN: not lowtide-opt %s --split-input-file 2> %t.err | FileCheck %s
// RUN: FileCheck --check-prefix=ERR %s < %t.err

// ERR:      bad-ir.mlir:8:3: error: type of return operand 0 ('i32') doesn't match function result type ('i64')
// ERR-NEXT: bad-ir.mlir:{{.*}}: note: see current operation
func.func @wrong_type(%x: i32) -> i64 {
  return %x : i32
}

// -----
// CHECK: func.func @sound
func.func @sound() {
  return
}

// -----
// ERR:  bad-ir.mlir:20:3: error: custom op 'nonesuch' is unknown
func.func @unknown() {
  nonesuch
}
