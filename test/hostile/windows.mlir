func.func @main(%x: tensor<1x8x8x2xi8>) -> tensor<1x4x4x3xi32> {
  %z = arith.constant -3 : i8
  %n = arith.constant 0 : i32
  %w = arith.constant dense<2> : tensor<3x3x2x3xi8>
  %p = tensor.pad %x low[0, 1, 1, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %z : i8
  } : tensor<1x8x8x2xi8> to tensor<1x10x10x2xi8>
  %e = tensor.empty() : tensor<1x4x4x3xi32>
  %f = linalg.fill ins(%n : i32) outs(%e : tensor<1x4x4x3xi32>) -> tensor<1x4x4x3xi32>
  %y = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>} ins(%p, %w : tensor<1x10x10x2xi8>, tensor<3x3x2x3xi8>) outs(%f : tensor<1x4x4x3xi32>) -> tensor<1x4x4x3xi32>
  return %y : tensor<1x4x4x3xi32>
}
