func.func @main(%x: tensor<?x8x8x3xi8>) -> tensor<?x4x4x5xi8> {
  %w = "tosa.const"() <{values = dense<3> : tensor<5x3x3x3xi8>}> : () -> tensor<5x3x3x3xi8>
  %b = "tosa.const"() <{values = dense<[1, 2, 3, 4, 5]> : tensor<5xi32>}> : () -> tensor<5xi32>
  %z = "tosa.const"() <{values = dense<-5> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %m = "tosa.const"() <{values = dense<1073741824> : tensor<1xi32>}> : () -> tensor<1xi32>
  %s = "tosa.const"() <{values = dense<38> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %c = tosa.conv2d %x, %w, %b, %z, %v {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<?x8x8x3xi8>, tensor<5x3x3x3xi8>, tensor<5xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<?x8x8x5xi32>
  %r = tosa.rescale %c, %m, %s, %n, %v {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<?x8x8x5xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<?x8x8x5xi8>
  %p = tosa.max_pool2d %r {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<?x8x8x5xi8>) -> tensor<?x4x4x5xi8>
  %k = tosa.clamp %p {max_val = 100 : i8, min_val = -20 : i8} : (tensor<?x4x4x5xi8>) -> tensor<?x4x4x5xi8>
  return %k : tensor<?x4x4x5xi8>
}
