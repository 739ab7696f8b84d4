func.func @main(%x: tensor<1x6x4xf32>, %i: tensor<1x3xi32>) -> (tensor<1x3x4xf32>, tensor<1x6x4xf32>, tensor<1x4xi32>) {
  %g = tosa.gather %x, %i : (tensor<1x6x4xf32>, tensor<1x3xi32>) -> tensor<1x3x4xf32>
  %s = tosa.sigmoid %g : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
  %q = tosa.reciprocal %x : (tensor<1x6x4xf32>) -> tensor<1x6x4xf32>
  %a = tosa.argmax %x {axis = 1 : i32} : (tensor<1x6x4xf32>) -> tensor<1x4xi32>
  %c = tosa.concat %s, %g {axis = 1 : i32} : (tensor<1x3x4xf32>, tensor<1x3x4xf32>) -> tensor<1x6x4xf32>
  %t = tosa.sub %c, %q : (tensor<1x6x4xf32>, tensor<1x6x4xf32>) -> tensor<1x6x4xf32>
  return %s, %t, %a : tensor<1x3x4xf32>, tensor<1x6x4xf32>, tensor<1x4xi32>
}
