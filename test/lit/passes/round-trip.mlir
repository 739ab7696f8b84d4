// Every pass leaves text that the next one reads: step by step is the same as all at once.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa -o %t.1
// RUN: lowtide-opt %t.1 --lowtide-normalise -o %t.2
// RUN: lowtide-opt %t.2 --lowtide-outline -o %t.3
// RUN: lowtide-opt %t.3 --lowtide-allocate -o %t.4
// RUN: lowtide-opt %t.4 --lowtide-kernels -o %t.steps
// RUN: lowtide-opt %S/Inputs/convs.mlir --pass-pipeline='builtin.module(lowtide-import-tosa,lowtide-normalise,lowtide-outline,lowtide-allocate,lowtide-kernels)' -o %t.once
// RUN: diff %t.steps %t.once
// RUN: FileCheck %s --input-file %t.steps

// CHECK: lowtide.arena_bytes = 44
// CHECK: func.func @main(%{{.*}}: memref<44xi8>)
