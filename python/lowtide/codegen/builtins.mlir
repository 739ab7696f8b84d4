// Functions of C's mathematical library that a core without the instruction calls. Here, so that a network needs none
// from the firmware. What no code calls is dropped when the object is linked.
// Each function stands before those that call it: IREE's compiler needs that (`prepare_body` says why).

// The integer part of x, its zero without a sign; x itself from 2^23 on, and where it is no number.
llvm.func internal @lowtide_truncate(%x: f32) -> f32 {
  %magnitude_mask = arith.constant 0x7fffffff : i32
  %whole = arith.constant 0x4b000000 : i32
  %zero = arith.constant 0.0 : f32
  %bits = arith.bitcast %x : f32 to i32
  %magnitude = arith.andi %bits, %magnitude_mask : i32
  %small = arith.cmpi ult, %magnitude, %whole : i32
  %safe = arith.select %small, %x, %zero : f32
  %integer = arith.fptosi %safe : f32 to i32
  %truncated = arith.sitofp %integer : i32 to f32
  %r = arith.select %small, %truncated, %x : f32
  llvm.return %r : f32
}

// x with y's sign, where the two agree or x is a zero.
llvm.func internal @lowtide_signed_like(%x: f32, %y: f32) -> f32 {
  %sign_mask = arith.constant 0x80000000 : i32
  %x_bits = arith.bitcast %x : f32 to i32
  %y_bits = arith.bitcast %y : f32 to i32
  %sign = arith.andi %y_bits, %sign_mask : i32
  %signed = arith.ori %x_bits, %sign : i32
  %r = arith.bitcast %signed : i32 to f32
  llvm.return %r : f32
}

// Equal numbers have equal bits, but for the two zeros.
llvm.func internal @lowtide_greater(%x: f32, %y: f32) -> f32 {
  %equal = arith.cmpf oeq, %x, %y : f32
  %x_bits = arith.bitcast %x : f32 to i32
  %y_bits = arith.bitcast %y : f32 to i32
  %common = arith.andi %x_bits, %y_bits : i32
  %same = arith.bitcast %common : i32 to f32
  %above = arith.cmpf ogt, %x, %y : f32
  %other = arith.select %above, %x, %y : f32
  %r = arith.select %equal, %same, %other : f32
  llvm.return %r : f32
}

llvm.func internal @lowtide_less(%x: f32, %y: f32) -> f32 {
  %equal = arith.cmpf oeq, %x, %y : f32
  %x_bits = arith.bitcast %x : f32 to i32
  %y_bits = arith.bitcast %y : f32 to i32
  %joint = arith.ori %x_bits, %y_bits : i32
  %same = arith.bitcast %joint : i32 to f32
  %below = arith.cmpf olt, %x, %y : f32
  %other = arith.select %below, %x, %y : f32
  %r = arith.select %equal, %same, %other : f32
  llvm.return %r : f32
}

llvm.func @floorf(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  %t = llvm.call @lowtide_truncate(%x) : (f32) -> f32
  %above = arith.cmpf ogt, %t, %x : f32
  %lower = arith.subf %t, %one : f32
  %floor = arith.select %above, %lower, %t : f32
  %r = llvm.call @lowtide_signed_like(%floor, %x) : (f32, f32) -> f32
  llvm.return %r : f32
}

llvm.func @ceilf(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  %t = llvm.call @lowtide_truncate(%x) : (f32) -> f32
  %below = arith.cmpf olt, %t, %x : f32
  %higher = arith.addf %t, %one : f32
  %ceiling = arith.select %below, %higher, %t : f32
  %r = llvm.call @lowtide_signed_like(%ceiling, %x) : (f32, f32) -> f32
  llvm.return %r : f32
}

llvm.func @truncf(%x: f32) -> f32 {
  %t = llvm.call @lowtide_truncate(%x) : (f32) -> f32
  %r = llvm.call @lowtide_signed_like(%t, %x) : (f32, f32) -> f32
  llvm.return %r : f32
}

// Halves go away from zero.
llvm.func @roundf(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %minus_half = arith.constant -0.5 : f32
  %t = llvm.call @lowtide_truncate(%x) : (f32) -> f32
  %rest = arith.subf %x, %t : f32
  %up = arith.cmpf oge, %rest, %half : f32
  %down = arith.cmpf ole, %rest, %minus_half : f32
  %higher = arith.addf %t, %one : f32
  %lower = arith.subf %t, %one : f32
  %raised = arith.select %up, %higher, %t : f32
  %rounded = arith.select %down, %lower, %raised : f32
  %r = llvm.call @lowtide_signed_like(%rounded, %x) : (f32, f32) -> f32
  llvm.return %r : f32
}

// Halves go to the even neighbour: 2^23 + |x| has no room for a fraction.
llvm.func @roundevenf(%x: f32) -> f32 {
  %whole = arith.constant 8388608.0 : f32
  %magnitude_mask = arith.constant 0x7fffffff : i32
  %bits = arith.bitcast %x : f32 to i32
  %magnitude_bits = arith.andi %bits, %magnitude_mask : i32
  %magnitude = arith.bitcast %magnitude_bits : i32 to f32
  %sum = arith.addf %magnitude, %whole : f32
  %difference = arith.subf %sum, %whole : f32
  %small = arith.cmpf olt, %magnitude, %whole : f32
  %rounded = arith.select %small, %difference, %x : f32
  %r = llvm.call @lowtide_signed_like(%rounded, %x) : (f32, f32) -> f32
  llvm.return %r : f32
}

llvm.func @rintf(%x: f32) -> f32 {
  %r = llvm.call @roundevenf(%x) : (f32) -> f32
  llvm.return %r : f32
}

llvm.func @nearbyintf(%x: f32) -> f32 {
  %r = llvm.call @roundevenf(%x) : (f32) -> f32
  llvm.return %r : f32
}

// The other operand where one is no number; +0 is above -0.
llvm.func @fmaxf(%x: f32, %y: f32) -> f32 {
  %r = llvm.call @lowtide_greater(%x, %y) : (f32, f32) -> f32
  %x_nan = arith.cmpf uno, %x, %x : f32
  %y_nan = arith.cmpf uno, %y, %y : f32
  %or_y = arith.select %x_nan, %y, %r : f32
  %or_x = arith.select %y_nan, %x, %or_y : f32
  llvm.return %or_x : f32
}

llvm.func @fminf(%x: f32, %y: f32) -> f32 {
  %r = llvm.call @lowtide_less(%x, %y) : (f32, f32) -> f32
  %x_nan = arith.cmpf uno, %x, %x : f32
  %y_nan = arith.cmpf uno, %y, %y : f32
  %or_y = arith.select %x_nan, %y, %r : f32
  %or_x = arith.select %y_nan, %x, %or_y : f32
  llvm.return %or_x : f32
}

llvm.func @fmaximum_numf(%x: f32, %y: f32) -> f32 {
  %r = llvm.call @fmaxf(%x, %y) : (f32, f32) -> f32
  llvm.return %r : f32
}

llvm.func @fminimum_numf(%x: f32, %y: f32) -> f32 {
  %r = llvm.call @fminf(%x, %y) : (f32, f32) -> f32
  llvm.return %r : f32
}

// No number where one operand is none; +0 is above -0.
llvm.func @fmaximumf(%x: f32, %y: f32) -> f32 {
  %r = llvm.call @lowtide_greater(%x, %y) : (f32, f32) -> f32
  %sum = arith.addf %x, %y : f32
  %nan = arith.cmpf uno, %x, %y : f32
  %or_nan = arith.select %nan, %sum, %r : f32
  llvm.return %or_nan : f32
}

llvm.func @fminimumf(%x: f32, %y: f32) -> f32 {
  %r = llvm.call @lowtide_less(%x, %y) : (f32, f32) -> f32
  %sum = arith.addf %x, %y : f32
  %nan = arith.cmpf uno, %x, %y : f32
  %or_nan = arith.select %nan, %sum, %r : f32
  llvm.return %or_nan : f32
}

// x·y + z, rounded once. The product is exact in f64; the sum is rounded to odd there (Boldo and Melquiond), so that
// rounding it again to f32 gives the right result.
llvm.func @fmaf(%x: f32, %y: f32, %z: f32) -> f32 {
  %zero = arith.constant 0.0 : f64
  %one_bit = arith.constant 1 : i64
  %minus_one = arith.constant -1 : i64
  %no_bit = arith.constant 0 : i64
  %xd = arith.extf %x : f32 to f64
  %yd = arith.extf %y : f32 to f64
  %zd = arith.extf %z : f32 to f64
  %p = arith.mulf %xd, %yd : f64
  %s = arith.addf %p, %zd : f64
  %z_part = arith.subf %s, %p : f64
  %p_part = arith.subf %s, %z_part : f64
  %z_lost = arith.subf %zd, %z_part : f64
  %p_lost = arith.subf %p, %p_part : f64
  %lost = arith.addf %p_lost, %z_lost : f64
  %inexact = arith.cmpf one, %lost, %zero : f64
  %bits = arith.bitcast %s : f64 to i64
  %last = arith.andi %bits, %one_bit : i64
  %even = arith.cmpi eq, %last, %no_bit : i64
  %to_odd = arith.andi %inexact, %even : i1
  %lost_up = arith.cmpf ogt, %lost, %zero : f64
  %positive = arith.cmpf ogt, %s, %zero : f64
  %inwards = arith.xori %lost_up, %positive : i1
  %step = arith.select %inwards, %minus_one, %one_bit : i64
  %odd_bits = arith.addi %bits, %step : i64
  %odd = arith.bitcast %odd_bits : i64 to f64
  %sum = arith.select %to_odd, %odd, %s : f64
  %r = arith.truncf %sum : f64 to f32
  llvm.return %r : f32
}
