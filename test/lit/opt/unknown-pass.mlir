// An unknown pass is refused by name before the input is read, and so are options that a pass doesn't have.
// RUN: not lowtide-opt %s --nonesuch 2>&1 | FileCheck %s --check-prefix=FLAG
// RUN: not lowtide-opt %s --pass-pipeline='builtin.module(cse,nonesuch)' 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: not lowtide-opt %s --canonicalize=fast=1 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not lowtide-opt %s --pass-pipeline='builtin.module(cse' 2>&1 | FileCheck %s --check-prefix=OPEN
// RUN: not lowtide-opt %s --pass-pipeline='func.func(lowtide-outline)' 2>&1 | FileCheck %s --check-prefix=NESTED

// FLAG:   options at --nonesuch: 'nonesuch' does not refer to a registered pass
// FLAG:   remedy: lowtide-opt --help
// TEXT:   pipeline at nonesuch: 'nonesuch' does not refer to a registered pass
// OPTION: options at --canonicalize{fast=1}: {{.*}}no such option fast
// OPEN:   pipeline at builtin.module(cse: ')' is missing at the end
// NESTED: 'lowtide-outline' does not refer to a registered pass
// NESTED: remedy: {{.*}}they stand at top level

this is never parsed
